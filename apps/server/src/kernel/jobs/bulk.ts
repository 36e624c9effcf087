import { Fault } from '@wheelhouse/contract'
import { type Clock, ids, type Instant } from '../clock/index.ts'
import { at, type Db, jsonb, sql, type Statement, type Tx } from '../db/index.ts'
import { publish } from '../events/index.ts'
import { actorOf, type Principal } from '../identity/index.ts'
import type { Logger } from 'pino'
import type { Again } from './again.ts'
import { type BulkFilter, type BulkVerb, type Count, countOf, isOfLetters, nextIds } from './bulk-selection.ts'
import type { Submitted } from './jobs.ts'

export interface BulkRow {
  id: string
  verb: BulkVerb
  state: 'running' | 'done' | 'stopped'
  matched: number
  done: number
  skipped: number
  failed: number
  lastError: string | null
  reason: string
  startedBy: string
  createdAt: Instant
  updatedAt: Instant
}

/** Columns of a row, for lists. */
export const bulkColumns: Statement = sql`id, verb, state, matched, done, skipped, failed, last_error as "lastError", reason,
  principal ->> 'name' as "startedBy", created_at as "createdAt", updated_at as "updatedAt"`

/** Acts on many jobs: counted first, confirmed, done in batches by whichever replica has time, taken up again after a crash. */
export interface Bulk {
  count(tx: Tx, verb: BulkVerb, filter: BulkFilter): Promise<Count>
  /** Records the act; it begins after the commit. Only what there is now is meant. */
  start(
    tx: Tx,
    principal: Principal,
    act: { verb: BulkVerb; filter: BulkFilter; reason: string; count: number },
  ): Promise<BulkRow>
  /** Ends it after the batch under way. Undefined when there is no such act. */
  stop(tx: Tx, principal: Principal, id: string): Promise<BulkRow | undefined>
  /** Works on what is to be done; returns when nothing is left or the others have it. */
  work(): Promise<void>
  close(): Promise<void>
}

interface BulkOptions {
  db: Db
  clock: Clock
  log: Logger
  cancel(tx: Tx, principal: Principal, jobId: string, reason: string): Promise<{ changed: boolean }>
  submitAgain(principal: Principal, jobId: string, again: Again): Promise<Submitted>
}

/** Most of one transaction. Cancelling takes several statements each, and holds the jobs' rows meanwhile. */
const BATCH = { cancel: 100, retry: 100, replay: 100, 'dead-letter-retry': 100, 'dead-letter-delete': 500 } as const
/** Before another act, of whichever tenant, has its turn. */
const BATCHES_A_TURN = 10
/** Of one tenant at once. */
const MAX_RUNNING = 20
const LEASE_MS = 60_000
const AFTER_FAILURE_MS = 5000

interface Claimed {
  tenantId: string
  id: string
  verb: BulkVerb
  filter: BulkFilter
  reason: string
  principal: Principal
  upTo: Instant
  position: { after: string } | null
}

interface Tally {
  done: number
  skipped: number
  failed: number
  lastError: string | null
}

export function openBulk({ db, clock, log, cancel, submitAgain }: BulkOptions): Bulk {
  let working: Promise<void> | undefined
  let closed = false

  /** An act that nobody works on, for a minute. */
  const claim = (): Promise<Claimed | undefined> =>
    db.engine((tx) =>
      tx.maybe<Claimed>(sql`
        update bulk_operations b set lease_until = ${at(clock.now() + LEASE_MS)}
          from (select tenant_id, id from bulk_operations
                 where state = 'running' and (lease_until is null or lease_until <= ${at(clock.now())})
                 order by coalesce(lease_until, created_at) limit 1 for update skip locked) next
         where next.tenant_id = b.tenant_id and next.id = b.id
        returning b.tenant_id as "tenantId", b.id, b.verb, b.filter, b.reason, b.principal, b.up_to as "upTo", b.position`),
    )

  /** Notes a batch in the transaction that did it. Someone who stopped the act meanwhile has the last word. */
  async function note(tx: Tx, { id }: Claimed, after: string, tally: Tally): Promise<void> {
    const noted = await tx.run(sql`
      update bulk_operations set position = ${jsonb({ after })}, done = done + ${tally.done}, skipped = skipped + ${tally.skipped},
        failed = failed + ${tally.failed}, last_error = coalesce(${tally.lastError}, last_error), updated_at = ${at(clock.now())},
        lease_until = ${at(clock.now() + LEASE_MS)}
      where id = ${id} and state = 'running'`)
    if (noted === 0) throw new Stopped()
  }

  async function finish(act: Claimed, state: 'done' | 'stopped', lastError: string | null): Promise<void> {
    await db.tenant(act.tenantId, async (tx) => {
      const ended = await tx.run(sql`
        update bulk_operations set state = ${state}, last_error = coalesce(${lastError}, last_error), lease_until = null,
          updated_at = ${at(clock.now())} where id = ${act.id} and state = 'running'`)
      if (ended > 0) await announce(tx, act.principal, act, 'bulk.ended', { state })
    })
  }

  const announce = (
    tx: Tx,
    principal: Principal,
    { id, verb }: Pick<Claimed, 'id' | 'verb'>,
    type: 'bulk.started' | 'bulk.ended',
    data: object,
  ): Promise<string> =>
    publish(tx, {
      type,
      resource: { kind: 'bulk', id },
      actor: actorOf(principal),
      data: { verb, ...data },
      at: clock.now(),
    })

  /** Who started it, or whoever stands behind them, may act no longer. */
  const isFrozen = async ({ tenantId, principal }: Claimed): Promise<boolean> =>
    (await db.tenant(tenantId, (tx) =>
      tx.maybe(sql`
        select 1 from principals where state = 'frozen'
           and id::text = any(${[principal.id, principal.ownerId ?? '', ...principal.onBehalfOf]}::text[]) limit 1`),
    )) !== undefined

  async function cancelBatch(act: Claimed, jobIds: readonly string[], after: string): Promise<void> {
    await db.tenant(act.tenantId, async (tx) => {
      const tally: Tally = { done: 0, skipped: 0, failed: 0, lastError: null }
      for (const id of jobIds) {
        const { changed } = await cancel(tx, act.principal, id, act.reason === '' ? 'cancelled in bulk' : act.reason)
        if (changed) tally.done += 1
        else tally.skipped += 1
      }
      await note(tx, act, after, tally)
    })
  }

  /** Each submission has a key of its own, so that a batch that is repeated after a crash submits nothing twice. */
  async function againBatch(act: Claimed, jobIds: readonly string[], after: string): Promise<void> {
    const as = act.verb === 'replay' ? 'replay' : 'retry'
    const tally: Tally = { done: 0, skipped: 0, failed: 0, lastError: null }
    const submitted: string[] = []
    const outcomes = await Promise.allSettled(
      jobIds.map((id) =>
        submitAgain(act.principal, id, {
          as,
          key: `bulk:${act.id}:${id}`,
          traceId: `${isOfLetters(act.verb) ? 'dlq-retry' : as}-${id}`.slice(0, 128),
          labels: {
            [as]: 'true',
            [`${as}_of_job`]: id,
            'cordum.bulk': act.id,
            ...(isOfLetters(act.verb) ? { dlq_entry: id } : {}),
          },
        }),
      ),
    )
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') {
        tally.done += 1
        submitted.push(jobIds[index] ?? '')
        continue
      }
      const error: unknown = outcome.reason
      if (!(error instanceof Fault) || error.status >= 500 || error.retryAfterMs !== undefined) throw error
      if (error.code === 'RES_CONFLICT') tally.skipped += 1
      else tally.failed += 1
      tally.lastError = `${jobIds[index]}: ${error.message}`.slice(0, 2000)
    }
    await db.tenant(act.tenantId, async (tx) => {
      if (as === 'retry' && submitted.length > 0)
        await tx.run(
          sql`delete from dead_letters where job_id = any(${submitted}::text[]) and created_at <= ${at(act.upTo)}`,
        )
      await note(tx, act, after, tally)
    })
  }

  async function deleteBatch(act: Claimed, jobIds: readonly string[], after: string): Promise<void> {
    await db.tenant(act.tenantId, async (tx) => {
      const done = await tx.run(
        sql`delete from dead_letters where job_id = any(${[...jobIds]}::text[]) and created_at <= ${at(act.upTo)}`,
      )
      await note(tx, act, after, { done, skipped: jobIds.length - done, failed: 0, lastError: null })
    })
  }

  /** One act until its end. */
  async function carryOut(act: Claimed): Promise<void> {
    let after = act.position?.after ?? null
    const run = act.verb === 'cancel' ? cancelBatch : act.verb === 'dead-letter-delete' ? deleteBatch : againBatch
    for (let batches = 0; ; batches++) {
      // A long act lets the others have their turn: it goes on behind those that wait.
      if (closed || batches >= BATCHES_A_TURN) return void (await giveBack(act, clock.now()))
      if (await isFrozen(act)) return finish(act, 'stopped', 'whoever started it is frozen')
      const jobIds = await db.tenant(act.tenantId, (tx) =>
        nextIds(tx, act.verb, act.filter, act.upTo, after, BATCH[act.verb]),
      )
      const last = jobIds.at(-1)
      if (last === undefined) return finish(act, 'done', null)
      await run(act, jobIds, last)
      after = last
    }
  }

  const giveBack = (act: Claimed, until: Instant): Promise<number> =>
    db.engine((tx) =>
      tx.run(sql`
        update bulk_operations set lease_until = ${at(until)} where tenant_id = ${act.tenantId} and id = ${act.id} and state = 'running'`),
    )

  async function all(): Promise<void> {
    for (;;) {
      const act = closed ? undefined : await claim()
      if (!act) return
      try {
        await carryOut(act)
      } catch (error) {
        if (error instanceof Stopped) continue
        const wait = error instanceof Fault ? (error.retryAfterMs ?? AFTER_FAILURE_MS) : AFTER_FAILURE_MS
        log.warn({ err: error, bulk: act.id }, 'A batch of a bulk operation failed; it is tried again')
        await giveBack(act, clock.now() + wait)
      }
    }
  }

  const work = (): Promise<void> =>
    (working ??= all()
      .catch((error: unknown) => log.warn({ err: error }, 'Bulk operations could not go on; the sweep tries again'))
      .finally(() => (working = undefined)))

  return {
    count: (tx, verb, filter) => countOf(tx, verb, filter, clock.now()),
    async start(tx, principal, { verb, filter, reason, count }) {
      const now = clock.now()
      const { running } = await tx.one<{ running: number }>(
        sql`select count(*)::int as running from bulk_operations where state = 'running'`,
      )
      if (running >= MAX_RUNNING)
        throw new Fault(
          'RES_CONFLICT',
          { running, max: MAX_RUNNING },
          { message: `${running} acts on many jobs are under way already; wait for one to end, or stop one` },
        )
      const row = await tx.one<BulkRow>(sql`
        insert into bulk_operations (tenant_id, id, verb, filter, reason, principal, up_to, matched, created_at, updated_at)
        values (${tx.tenantId}, ${ids.next()}, ${verb}, ${jsonb(filter)}, ${reason}, ${jsonb(principal)}, ${at(now)}, ${count}, ${at(now)}, ${at(now)})
        returning ${bulkColumns}`)
      await announce(tx, principal, row, 'bulk.started', { count, filter, reason })
      tx.afterCommit(() => void work())
      return row
    },
    async stop(tx, principal, id) {
      const stopped = await tx.maybe<BulkRow>(sql`
        update bulk_operations set state = 'stopped', lease_until = null, updated_at = ${at(clock.now())}
         where id::text = ${id} and state = 'running' returning ${bulkColumns}`)
      if (stopped) await announce(tx, principal, stopped, 'bulk.ended', { state: 'stopped' })
      return stopped ?? tx.maybe<BulkRow>(sql`select ${bulkColumns} from bulk_operations where id::text = ${id}`)
    },
    work,
    async close() {
      closed = true
      await working
    },
  }
}

/** Somebody stopped the act while a batch was under way; the batch does not count. */
class Stopped extends Error {}
