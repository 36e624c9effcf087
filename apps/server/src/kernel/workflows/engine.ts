import type { Logger } from 'pino'
import { pause } from '../clock/index.ts'
import { at, type Db, sql, type Tx } from '../db/index.ts'
import { systemPrincipal } from '../identity/index.ts'
import type { TenantConfig } from '../tenant-config/index.ts'
import { Fault } from '@wheelhouse/contract'
import type { Held } from './held.ts'
import { dropWaiting } from './run-rows.ts'
import { openTurns, type Turned, type TurnOptions, type TurnParts } from './turn.ts'

export interface RunnerParts extends TurnParts {
  db: Db
  log: Logger
  tenantConfig: TenantConfig
}

/** Drives runs: whatever one has to take in is taken in, by one replica at a time. All of it stands in rows, so a crash loses nothing. */
export interface RunDriver {
  /** A turn in a transaction of its own; what follows is driven. Undefined: somebody else has the run, or it is not there. */
  turn(tenantId: string, runId: string, options: TurnOptions): Promise<Turned | undefined>
  /** The same within the caller's transaction; what follows is driven after its commit. */
  turnIn(tx: Tx, runId: string, options: TurnOptions): Promise<Turned | undefined>
  /** The first turn of a run whose row the caller's transaction has just written. */
  beginIn(tx: Tx, held: Held): Promise<Turned>
  /** There is something to take in. */
  hint(tenantId: string, runId: string): void
  start(): void
  stop(): Promise<void>
}

const AT_ONCE = 8
const SWEEP_MS = 1000
/** Somebody else has the run: asked again so soon. */
const BUSY_MS = 25
const CANCELS = 100
const MOST_REST_MS = 20

interface Known {
  tenantId: string
  runId: string
}

const keyOf = ({ tenantId, runId }: Known): string => `${tenantId} ${runId}`

/** Runs that one look of the sweep takes up. */
const SWEPT = 1000
const FIRST: Known = { tenantId: '00000000-0000-0000-0000-000000000000', runId: '' }

/** Runs that wait for a turn, each once: tenants take turns, and within one the first that came is the first. */
interface Lines {
  add(known: Known): void
  next(): Known | undefined
}

export function openLines(): Lines {
  const byTenant = new Map<string, Set<string>>()
  return {
    add({ tenantId, runId }) {
      const line = byTenant.get(tenantId)
      if (line) line.add(runId)
      else byTenant.set(tenantId, new Set([runId]))
    },
    next() {
      for (const [tenantId, line] of byTenant) {
        byTenant.delete(tenantId)
        for (const runId of line) {
          line.delete(runId)
          if (line.size > 0) byTenant.set(tenantId, line)
          return { tenantId, runId }
        }
      }
      return undefined
    },
  }
}

export function openRunDriver(parts: RunnerParts): RunDriver {
  const { db, bus, clock, log, jobs, tenantConfig } = parts
  const turns = openTurns(parts)
  const waiting = openLines()
  const active = new Map<string, Promise<void>>()
  const again = new Set<string>()
  /** Runs whose last turn failed: how often, and when the next one is. */
  const failing = new Map<string, { times: number; notBefore: number }>()
  const timers = new Set<NodeJS.Timeout>()
  let started = false
  let sweeping: Promise<void> | undefined
  let swept: Known = FIRST
  let sweepTimer: NodeJS.Timeout | undefined

  function hint(tenantId: string, runId: string): void {
    if (!started) {
      bus.wake('runs')
      return
    }
    const key = keyOf({ tenantId, runId })
    if (active.has(key)) again.add(key)
    else waiting.add({ tenantId, runId })
    pump()
  }

  function pump(): void {
    if (!started) return
    while (active.size < AT_ONCE) {
      const known = waiting.next()
      if (!known) return
      const key = keyOf(known)
      const notBefore = failing.get(key)?.notBefore ?? 0
      if (notBefore <= clock.now()) active.set(key, drive(key, known))
    }
  }

  async function drive(key: string, known: Known): Promise<void> {
    const began = performance.now()
    try {
      const turned = await turn(known.tenantId, known.runId, { skip: true })
      failing.delete(key)
      if (!turned) await behind(known)
    } catch (error) {
      const times = (failing.get(key)?.times ?? 0) + 1
      if (failing.size > 10_000) failing.clear()
      failing.set(key, { times, notBefore: clock.now() + Math.min(60_000, 250 * 2 ** Math.min(times, 10)) })
      log.warn({ err: error, runId: known.runId, times }, 'A turn of a run failed; it is tried again')
    } finally {
      active.delete(key)
      // What ends one after the other is taken in together: a busy run rests as long as its turn took.
      if (again.delete(key)) later(known, Math.min(MOST_REST_MS, performance.now() - began))
      pump()
    }
  }

  /** The run is somebody else’s now, who may not see what came meanwhile; or it was removed, and so is what waits for it. */
  async function behind(known: Known): Promise<void> {
    const there = await db.tenant(known.tenantId, async (tx) => {
      if (await tx.maybe(sql`select 1 from runs where id = ${known.runId}`)) return true
      await dropWaiting(tx, known.runId)
      return false
    })
    if (there) later(known, BUSY_MS)
  }

  function later({ tenantId, runId }: Known, ms: number): void {
    if (timers.size > 10_000) return
    const timer = setTimeout(() => {
      timers.delete(timer)
      hint(tenantId, runId)
    }, ms)
    timer.unref()
    timers.add(timer)
  }

  /** After the commit of a turn. */
  function follow(tenantId: string, runId: string, turned: Turned): void {
    if (turned.more) hint(tenantId, runId)
    for (const other of turned.told) hint(tenantId, other)
    if (turned.timerAt !== undefined && started) {
      const left = turned.timerAt - clock.now()
      // What is further away is found by the sweep.
      if (left < 2 * SWEEP_MS) later({ tenantId, runId }, Math.max(1, left))
    }
    if (turned.cancels)
      cancelJobs(tenantId).catch((error: unknown) => log.warn({ err: error }, 'Jobs of runs are cancelled later'))
  }

  async function turnIn(tx: Tx, runId: string, options: TurnOptions): Promise<Turned | undefined> {
    const turned = await turns.take(tx, runId, options)
    const { tenantId } = tx
    if (turned) tx.afterCommit(() => follow(tenantId, runId, turned))
    return turned
  }

  async function turn(tenantId: string, runId: string, options: TurnOptions): Promise<Turned | undefined> {
    // Known before the transaction, or its jobs would ask for it on a second connection.
    await tenantConfig.effective(tenantId)
    return db.tenant(tenantId, (tx) => turnIn(tx, runId, options))
  }

  /** Cancels jobs that runs no longer need, in the order of their ids, as all who lock several do. */
  async function cancelJobs(tenantId: string): Promise<void> {
    const by = systemPrincipal({ id: tenantId, slug: '' })
    for (;;) {
      const done = await db.tenant(tenantId, async (tx) => {
        const rows = await tx.many<{ jobId: string; reason: string }>(sql`
          select job_id as "jobId", reason from run_cancels order by job_id limit ${CANCELS} for update skip locked`)
        for (const { jobId, reason } of rows) {
          await jobs.cancel(tx, by, jobId, reason).catch((error: unknown) => {
            if (!(error instanceof Fault && error.code === 'JOB_NOT_FOUND')) throw error
          })
        }
        await tx.run(sql`delete from run_cancels where job_id = any(${rows.map(({ jobId }) => jobId)})`)
        return rows.length
      })
      if (done < CANCELS) return
    }
  }

  async function sweep(): Promise<void> {
    const soon = clock.now() + SWEEP_MS
    const { told, due, cancels } = await db.engine(async (tx) => ({
      // From where the last one ended, so that runs whose turns fail do not keep the others from being found.
      told: await tx.many<Known>(
        sql`select distinct tenant_id as "tenantId", run_id as "runId" from run_inbox
             where (tenant_id, run_id) > (${swept.tenantId}::uuid, ${swept.runId}) order by 1, 2 limit ${SWEPT}`,
      ),
      due: await tx.many<Known & { firesAt: number }>(sql`
        select tenant_id as "tenantId", run_id as "runId", min(fires_at) as "firesAt" from run_timers where fires_at <= ${at(soon)}
         group by 1, 2 order by 3 limit ${SWEPT}`),
      cancels: await tx.many<{ tenantId: string }>(
        sql`select distinct tenant_id as "tenantId" from run_cancels limit 100`,
      ),
    }))
    swept = (told.length === SWEPT ? told.at(-1) : undefined) ?? FIRST
    for (const each of told) hint(each.tenantId, each.runId)
    for (const { firesAt, ...each } of due) {
      const left = firesAt - clock.now()
      if (left <= 0) hint(each.tenantId, each.runId)
      else later(each, left)
    }
    for (const { tenantId } of cancels) await cancelJobs(tenantId)
  }

  function sweepNow(): Promise<void> {
    sweeping ??= sweep()
      .catch((error: unknown) => log.warn({ err: error }, 'The sweep of runs failed; the next one repeats it'))
      .finally(() => {
        sweeping = undefined
      })
    return sweeping
  }

  function next(): void {
    if (!started) return
    sweepTimer = setTimeout(() => void sweepNow().finally(next), SWEEP_MS)
  }

  let listening: { close(): void } | undefined
  jobs.onRunWork(hint)

  return {
    turn,
    turnIn,
    async beginIn(tx, held) {
      const turned = await turns.begin(tx, held)
      const { tenantId } = tx
      tx.afterCommit(() => follow(tenantId, held.state.id, turned))
      return turned
    },
    hint,
    start() {
      started = true
      listening = bus.onWake('runs', () => void sweepNow())
      void sweepNow()
      next()
    },
    async stop() {
      started = false
      listening?.close()
      clearTimeout(sweepTimer)
      for (const timer of timers) clearTimeout(timer)
      await sweeping
      await Promise.race([Promise.all(active.values()), pause(5000)])
    },
  }
}
