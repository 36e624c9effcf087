import { type Db, sql, type Tx } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'
import type { Facts, PolicyRequest } from '../policy/index.ts'
import type { Bulk } from './bulk.ts'
import type { Core } from './core.ts'
import { THROTTLE_MS } from './delays.ts'
import type { Dispatcher } from './dispatcher.ts'
import { type Holds, storeDecision } from './holds.ts'
import type { TerminalState } from './jobs.ts'
import { type Liveness, openLiveness } from './liveness.ts'
import { decide } from './policy.ts'
import {
  freeLeases,
  leaseOwners,
  MAX_RECOVERIES,
  noteAttempt,
  overdue,
  overTime,
  type OverTime,
  release,
  ripen,
  takeUndecided,
  type Undecided,
} from './queue.ts'
import { type JobRequest, policyRequest } from './request.ts'
import { backoffMs } from './runner.ts'

const SWEEP_MS = 1000
const RENEW_MS = 10_000
const RENEW_AGAIN_MS = 1000
const DRAIN_MS = 30_000
const CLEAN_MS = 600_000
const AGE_MS = 2_000

export interface Sweeps {
  start(doors: { drain(): Promise<void> }): Promise<void>
  stop(): Promise<void>
  /** One round of everything that is due; for tests. */
  round(): Promise<void>
  policyRequestOf(job: { id: string; request: JobRequest; facts: Facts | null }): PolicyRequest
}

interface SweepHooks {
  bulk: Bulk
  dispatcher: Dispatcher
  holds: Holds
  end(
    tx: Tx,
    jobId: string,
    outcome: { state: Exclude<TerminalState, 'succeeded'>; code: string; message: string; fence?: number },
    by?: Principal,
  ): Promise<boolean>
  tellWorker(tenantId: string, account: string, jobId: string, reason: string): void
}

/** Drives again from the database whatever a lost message or a dead process would have driven (architecture, third idea). */
export function openSweeps(core: Core, { bulk, dispatcher, holds, end, tellWorker }: SweepHooks): Sweeps {
  const { db, clock, log } = core
  let liveness: Liveness | undefined
  let timer: NodeJS.Timeout | undefined
  let renewTimer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  let renewing: Promise<void> = Promise.resolve()
  let stopped = false
  let renewedAt = clock.now()
  let drainAt = 0
  let cleanAt = 0
  let ageAt = 0
  let doors: { drain(): Promise<void> } | undefined

  async function step(name: string, work: () => Promise<unknown>): Promise<void> {
    if (stopped) return
    try {
      await work()
    } catch (error) {
      log.warn({ err: error, step: name }, 'A sweep of the job queue failed; the next one repeats it')
    }
  }

  async function renew(): Promise<void> {
    const from = clock.now()
    await dispatcher.renewAll()
    renewedAt = from
  }

  async function round(): Promise<void> {
    const now = clock.now()
    await step('workers', async () => dispatcher.workersLost(await core.workers.sweep()))
    await step('leases', async () => {
      // After an outage our own first: they may have run out, and are worked on all the same.
      if (renewedAt < now - 2 * RENEW_MS) await renew()
      const dead = await liveness?.dead(await leaseOwners(db, core.owner))
      for (const lost of await freeLeases(db, now, dead ?? [])) {
        if (lost.recoveries <= MAX_RECOVERIES) continue
        await db.tenant(lost.tenantId, (tx) =>
          end(tx, lost.id, {
            state: 'failed',
            code: 'worker_lost',
            message: 'whoever worked on it was lost, again and again',
          }),
        )
      }
    })
    await step('ripen', () => ripen(db, now))
    await step('brakes', () => core.brakes.settle())
    await step('keys', () => core.slots.promoteAll())
    await step('queue age', async () => {
      if (now < ageAt) return
      ageAt = now + AGE_MS
      for (const { tenantId, id, maxAgeMs } of await core.brakes.expired())
        await db.tenant(tenantId, (tx) =>
          end(tx, id, {
            state: 'timed_out',
            code: 'queue_expired',
            message: `it waited longer than the ${maxAgeMs / 1000} s that its topic allows`,
          }),
        )
    })
    await step('undecided', async () => {
      for (const job of await takeUndecided(db, now, THROTTLE_MS)) await decideAgain(job)
    })
    await step('over time', async () => {
      for (const job of await overTime(db, now)) await timeOut(job)
    })
    await step('deadlines', async () => {
      for (const { tenantId, id } of await overdue(db, now))
        await db.tenant(tenantId, (tx) =>
          end(tx, id, { state: 'timed_out', code: 'timeout', message: 'it did not end by its deadline' }),
        )
    })
    await step('approvals', () => core.approvals.expire())
    // It has its own pace; the sweep goes on meanwhile.
    void bulk.work()
    await step('cancels', () => remind(db))
    await step('results', async () => {
      if (now < drainAt) return
      drainAt = now + DRAIN_MS
      await doors?.drain()
    })
    await step('clean', async () => {
      if (now < cleanAt) return
      cleanAt = now + CLEAN_MS
      await clean(db)
    })
    // A word about who was frozen may be lost with the bus.
    await step('frozen', () => core.frozen.refresh())
    await step('scan', () => dispatcher.scan())
  }

  /** jobs.md 17.5 with its fixes: the worker is told, a dead letter is written, an attempt that is left is made. */
  async function timeOut(job: OverTime): Promise<void> {
    const now = clock.now()
    const message = 'it did not end in its time'
    if (job.attempt >= job.maxAttempts) {
      await db.tenant(job.tenantId, (tx) =>
        end(tx, job.id, { state: 'timed_out', code: 'timeout', message, fence: job.fence }),
      )
      return
    }
    await db.engine(async (tx) => {
      await noteAttempt(tx, job, now, { outcome: 'timed_out', code: 'timeout', message })
      await release(tx, [{ ...job, runAt: now + backoffMs(job.attempt), nextAttempt: true }])
    })
    dispatcher.forget(job.tenantId, job.id)
    if (job.account !== null) tellWorker(job.tenantId, job.account, job.id, message)
  }

  async function decideAgain(job: Undecided): Promise<void> {
    const { tenantId, id, request } = job
    const { decision, decided } = await decide(
      core.policy,
      tenantId,
      policyRequest(id, request, job.factsBody ?? undefined),
    )
    if (!decided || decision.decision === 'THROTTLE') return
    await db.tenant(tenantId, async (tx) => {
      const still = await tx.maybe<{ pool: string }>(
        sql`select pool from job_queue where id = ${id} and state = 'undecided' for update`,
      )
      if (!still) return
      if (decision.decision === 'REQUIRE_APPROVAL') {
        await holds.hold(tx, { ...job, facts: job.factsBody, decision })
        return
      }
      await storeDecision(tx, id, decision, job.factsBody, null, clock.now())
      if (decision.decision === 'DENY') {
        await end(tx, id, { state: 'denied', code: 'safety_denied', message: decision.reason })
        return
      }
      await tx.run(sql`update job_queue set state = 'ready', run_at = null where id = ${id}`)
      tx.afterCommit(() => core.hint(still.pool, tenantId))
    })
  }

  /** Workers that could not be told of a cancel when it happened. */
  async function remind(from: Db): Promise<void> {
    const rows = await from.engine((tx) =>
      tx.many<{ tenant_id: string; id: string; account: string; message: string | null }>(sql`
        select q.tenant_id, q.id, q.account, j.error_message as message from job_queue q
          join jobs j on j.tenant_id = q.tenant_id and j.id = q.id
         where q.state = 'cancelling' and q.run_at < ${new Date(clock.now() - 2000)} order by q.run_at limit 200`),
    )
    for (const row of rows) {
      try {
        tellWorker(row.tenant_id, row.account, row.id, row.message ?? 'cancelled')
      } catch (error) {
        // One that cannot be told does not keep the others from hearing of theirs.
        log.warn({ err: error, jobId: row.id }, 'The worker of a cancelled job cannot be told')
      }
    }
  }

  async function clean(from: Db): Promise<void> {
    const now = new Date(clock.now())
    for (const table of ['job_keys', 'job_values']) {
      const name = sql.table(table)
      await from.engine((tx) =>
        tx.run(sql`delete from ${name} where ctid in (select ctid from ${name} where expires_at <= ${now} limit 5000)`),
      )
    }
  }

  function next(): void {
    if (stopped) return
    timer = setTimeout(() => {
      running = round().finally(next)
    }, SWEEP_MS)
  }

  function nextRenewal(): void {
    if (stopped) return
    // One that fell into an outage is not left until the next is due, for leases do not last much longer.
    const late = clock.now() - renewedAt > RENEW_MS
    renewTimer = setTimeout(
      () => {
        renewing = step('renew', renew).finally(nextRenewal)
      },
      late ? RENEW_AGAIN_MS : RENEW_MS,
    )
  }

  return {
    round,
    policyRequestOf: ({ id, request, facts }) => policyRequest(id, request, facts ?? undefined),
    async start(given) {
      doors = given
      drainAt = clock.now() + DRAIN_MS
      liveness = await openLiveness(db, log, core.owner)
      next()
      nextRenewal()
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      clearTimeout(renewTimer)
      await running
      await renewing
      await liveness?.close()
    },
  }
}
