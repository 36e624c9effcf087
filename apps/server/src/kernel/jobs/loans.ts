import type { Logger } from 'pino'
import type { Clock } from '../clock/index.ts'
import type { Db } from '../db/index.ts'
import type { Fair } from './fair.ts'
import { routeOf, type Route } from './pools.ts'
import { type Claimed, LEASE_MS, release } from './queue.ts'
import { type JobRequest, rankOf } from './request.ts'
import type { NewRow } from './store.ts'
import type { Worker } from './workers.ts'

/** Where a job goes: to a worker, or (null) to whoever subscribes to its topic. */
export interface Place {
  worker: Worker | null
  account: string
}

/** A place, held for a job that is about to be recorded as claimed for it. Exactly one of the three ends it. */
export interface Loan {
  lease: NonNullable<NonNullable<NewRow['queue']>['lease']>
  /** It was recorded: the job goes the way of every claim, through the checks of dispatch. */
  go(): void
  /** It was not recorded. */
  back(): void
  /** Nobody knows whether it was recorded: should it have been, it is given back to the queue. */
  lost(): void
}

interface LoanParts {
  db: Db
  clock: Clock
  log: Logger
  fair: Fair
  /** Number under which this replica holds leases. */
  owner: number
  /** Whether jobs of the tenant wait for this pool: then a new one waits behind them. */
  waits(pool: string, tenantId: string): boolean
  /** The place that dispatch would choose, if there is room. */
  choose(route: Route, tenantId: string, request: JobRequest): Place | undefined
  /** Counts a place as taken (1) or free again (-1). */
  hold(pool: string, tenantId: string, place: Place, by: 1 | -1): void
  begin(route: Route, claimed: readonly Claimed[], planned: readonly (Worker | null)[]): Promise<void>
  isActive(tenantId: string, jobId: string): boolean
}

const LOOK_AGAIN_MS = 2000
const TRIES = 20

/** Lets jobs be recorded as claimed where a worker is free and nothing waits: the claim costs no statement and no wait of its own. */
export function openLoans(parts: LoanParts): (row: NewRow) => Loan | undefined {
  const { db, clock, log, fair } = parts
  let going: { claimed: Claimed; place: Place }[] = []

  /** All that went in one turn of the loop, pool by pool. */
  function start(): void {
    const now = going
    going = []
    for (const [pool, mine] of Map.groupBy(now, ({ claimed }) => claimed.pool)) {
      // What goes by a topic is counted anew as it begins; a worker's slot is handed over.
      for (const { claimed, place } of mine) if (!place.worker) parts.hold(pool, claimed.tenantId, place, -1)
      parts
        .begin(
          routeOf(pool),
          mine.map(({ claimed }) => claimed),
          mine.map(({ place }) => place.worker),
        )
        .catch((error: unknown) => log.warn({ err: error }, 'Claimed jobs could not be sent on their way'))
    }
  }

  /** Under the first fence and only while nothing runs for it here: else it was recorded by a second try and went its way. */
  async function disown(tenantId: string, id: string): Promise<void> {
    for (let tries = 1; tries <= TRIES; tries++) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS).unref())
      if (parts.isActive(tenantId, id)) return
      try {
        // Of ours alone: recorded without a claim, another replica may have claimed it since.
        await db.engine((tx) => release(tx, [{ tenantId, id, fence: 1, runAt: null }], parts.owner))
        return
      } catch (error) {
        log.debug({ err: error, jobId: id }, 'Whether a job was recorded is not known yet')
      }
    }
  }

  return (row) => {
    const { queue, request, principal, id, pool, traceId, n, maxAttempts, decision, decisionId, at } = row
    const { tenantId } = principal
    if (queue?.state !== 'ready' || request.verb !== undefined || row.approvalId !== null) return undefined
    if (parts.waits(pool, tenantId)) return undefined
    const place = parts.choose(routeOf(pool), tenantId, request)
    if (!place) return undefined
    parts.hold(pool, tenantId, place, 1)
    const now = clock.now()
    const expiresAt = Math.min(row.deadline ?? Infinity, at + row.timeoutMs)
    const workerId = place.worker?.workerId ?? null
    const { account } = place
    const lease = { owner: parts.owner, until: now + LEASE_MS, expiresAt, workerId, account }
    return {
      lease,
      go() {
        fair.served({ tenantId, pool, rank: rankOf(request) }, n)
        const claimed: Claimed = {
          tenantId,
          id,
          traceId,
          pool,
          fence: 1,
          attempt: 1,
          maxAttempts,
          recoveries: 0,
          n,
          expiresAt,
          startedAt: at,
          workerId,
          account,
          constraints: decision.constraints,
          request,
          verb: null,
          context: null,
          approvalId: null,
          decisionId,
          createdAt: at,
          principal: null,
        }
        if (going.push({ claimed, place }) === 1) queueMicrotask(start)
      },
      back() {
        parts.hold(pool, tenantId, place, -1)
      },
      lost() {
        parts.hold(pool, tenantId, place, -1)
        void disown(tenantId, id)
      },
    }
  }
}
