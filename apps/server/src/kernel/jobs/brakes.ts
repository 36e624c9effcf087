import { Fault } from '@wheelhouse/contract'
import { type Bus, type Listening } from '../bus/index.ts'
import type { Clock, Instant } from '../clock/index.ts'
import { at, type Db, sql, type Tx } from '../db/index.ts'
import { parkedUnder } from './queue.ts'

/** A stop that somebody set, and who. */
export interface Halt {
  at: Instant
  by: string
  reason: string
}

export interface QueueLimits {
  /** Waiting jobs beyond which submissions are refused; null = none. */
  maxDepth: number | null
  /** A job that waits longer ends as `queue_expired`; null = none. */
  maxAgeMs: number | null
}

/** What one tenant has braked. */
export interface TenantBrakes {
  topics: ReadonlyMap<string, Halt>
  pools: ReadonlyMap<string, Halt>
  drained: ReadonlyMap<string, Halt>
  limits: ReadonlyMap<string, QueueLimits>
}

/** Queues that are paused or limited and workers that are drained: set by people, kept over restarts, known to every replica. */
export interface Brakes {
  /** As last read: at most 5 s old, at once after a change over the bus. */
  of(tenantId: string): TenantBrakes
  /** The same, read for certain. For a process that does not dispatch. */
  fresh(tenantId: string): Promise<TenantBrakes>
  /** Refuses a submission to a topic that has as many waiting as it may. Throws QUEUE_FULL with a time to wait. */
  admit(tenantId: string, topic: string): Promise<void>
  /** Writes a halt, or lifts it (null), in the caller's transaction; takes effect everywhere after the commit. */
  halt(tx: Tx, what: { kind: 'topic' | 'pool' | 'worker'; name: string }, halt: Halt | null): Promise<void>
  limit(tx: Tx, topic: string, limits: QueueLimits): Promise<void>
  /** Brings the queue's rows in line with what is paused. Repeatable. Returns whether rows became ready. */
  settle(): Promise<boolean>
  /** Jobs that wait beyond the age that their topic allows; at most 500. */
  expired(): Promise<{ tenantId: string; id: string; maxAgeMs: number }[]>
  onChange(run: () => void): void
  close(): void
}

const NONE: TenantBrakes = { topics: new Map(), pools: new Map(), drained: new Map(), limits: new Map() }
const REREAD_MS = 5000
/** Jobs of a topic that was paused elsewhere are set aside as they are claimed, so a full look is rare. */
const LOOK_MS = 5000
/** Who waits for a worker is looked at again within this time; who waits longer, waits for something else. */
const SOON_MS = 3000
const DEPTH_MS = 1000
const FULL_RETRY_MS = 5000
const BATCH = 5000

interface SettingRow extends QueueLimits {
  tenantId: string
  kind: 'topic' | 'pool'
  name: string
  at: Instant | null
  by: string
  reason: string
}

interface DrainRow extends Halt {
  tenantId: string
  workerId: string
}

type Filling = {
  [K in keyof TenantBrakes]: TenantBrakes[K] extends ReadonlyMap<string, infer V> ? Map<string, V> : never
}

/** Every replica keeps them in memory and looks at each. */
const MAX_BRAKES = 1000
const EMPTY = sql`delete from queue_settings where paused_at is null and max_depth is null and max_age_ms is null`

async function refuseTooMany(tx: Tx, table: 'queue_settings' | 'worker_drains'): Promise<void> {
  const { n } = await tx.one<{ n: number }>(sql`select count(*)::int as n from ${sql.table(table)}`)
  if (n < MAX_BRAKES) return
  const what = table === 'worker_drains' ? 'drained workers' : 'paused or limited queues'
  throw new Fault(
    'RES_CONFLICT',
    { max: MAX_BRAKES },
    { message: `a tenant has at most ${MAX_BRAKES} ${what}; lift some first` },
  )
}

export function openBrakes({ db, bus, clock }: { db: Db; bus: Bus; clock: Clock }): Brakes {
  let known = new Map<string, TenantBrakes>()
  let readAt = 0
  let reading: Promise<void> | undefined
  /** The reading that sees the last change known of. */
  let changing: Promise<void> = Promise.resolve()
  let lookAt = 0
  const depths = new Map<string, { n: number; until: Instant }>()
  const listeners: (() => void)[] = []
  /** Reads what was changed and acts on it. What fails here is done by the next reading and the sweep. */
  function changedNow(): void {
    lookAt = 0
    // A reading under way may have begun before the change.
    const mine = (reading ?? Promise.resolve()).catch(() => undefined).then(read)
    changing = mine
    mine.then(
      () => listeners.forEach((run) => run()),
      () => undefined,
    )
  }
  const listening: Listening = bus.onWake('queues', changedNow)

  async function load(): Promise<void> {
    const [settings, drains] = await db.engine(async (tx) => [
      await tx.many<SettingRow>(sql`
        select tenant_id as "tenantId", kind, name, paused_at as at, paused_by as by, pause_reason as reason,
          max_depth as "maxDepth", max_age_ms as "maxAgeMs" from queue_settings`),
      await tx.many<DrainRow>(
        sql`select tenant_id as "tenantId", worker_id as "workerId", at, by, reason from worker_drains`,
      ),
    ])
    const next = new Map<string, Filling>()
    const filling = (tenantId: string): Filling => {
      const mine = next.get(tenantId) ?? { topics: new Map(), pools: new Map(), drained: new Map(), limits: new Map() }
      next.set(tenantId, mine)
      return mine
    }
    for (const { tenantId, kind, name, at: since, by, reason, maxDepth, maxAgeMs } of settings) {
      const mine = filling(tenantId)
      if (since !== null) (kind === 'topic' ? mine.topics : mine.pools).set(name, { at: since, by, reason })
      if (maxDepth !== null || maxAgeMs !== null) mine.limits.set(name, { maxDepth, maxAgeMs })
    }
    for (const { tenantId, workerId, ...halt } of drains) filling(tenantId).drained.set(workerId, halt)
    known = next
    readAt = clock.now()
  }

  /** Reads anew; callers at the same time share one reading. */
  async function read(): Promise<void> {
    reading ??= load().finally(() => (reading = undefined))
    return reading
  }

  function of(tenantId: string): TenantBrakes {
    if (clock.now() - readAt > REREAD_MS) read().catch(() => undefined)
    return known.get(tenantId) ?? NONE
  }

  async function fresh(tenantId: string): Promise<TenantBrakes> {
    await changing.catch(() => undefined)
    if (readAt === 0 || clock.now() - readAt > REREAD_MS) await read()
    return known.get(tenantId) ?? NONE
  }

  const changed = (tx: Tx): void =>
    tx.afterCommit(() => {
      // Elsewhere by the bus, or by the next reading.
      changedNow()
      bus.wake('queues')
    })

  async function depthOf(tenantId: string, topic: string, most: number): Promise<{ n: number }> {
    const key = `${tenantId} ${topic}`
    const counted = depths.get(key)
    if (counted && counted.until > clock.now()) return counted
    const { n } = await db.engine((tx) =>
      tx.one<{ n: number }>(sql`
        select count(*)::int as n from (select 1 from job_queue where tenant_id = ${tenantId} and topic = ${topic}
          and state in ('ready', 'waiting', 'undecided', 'paused', 'blocked') limit ${most}) waiting`),
    )
    const made = { n, until: clock.now() + DEPTH_MS }
    if (depths.size > 10_000) depths.clear()
    depths.set(key, made)
    return made
  }

  /** Ready jobs of paused topics are set aside. */
  async function setAside(): Promise<void> {
    for (const [tenantId, { topics }] of known)
      for (const topic of topics.keys()) {
        let moved = BATCH
        while (moved === BATCH)
          moved = await db.engine((tx) =>
            tx.run(sql`
              with mine as (
                select tenant_id, id from job_queue where tenant_id = ${tenantId} and topic = ${topic}
                  and (state = 'ready' or (state = 'waiting' and attempt = 1 and run_at <= ${at(clock.now() + SOON_MS)}))
                order by tenant_id, id limit ${BATCH} for update skip locked)
              update job_queue q set state = 'paused', run_at = null from mine m where m.tenant_id = q.tenant_id and m.id = q.id`),
          )
      }
  }

  /** Jobs that were set aside and whose topic is paused no longer. */
  async function takeBack(): Promise<boolean> {
    let any = false
    for (const { tenantId, name: topic } of await parkedUnder(db, 'paused', 'topic')) {
      if (known.get(tenantId)?.topics.has(topic)) continue
      let moved = BATCH
      while (moved === BATCH) {
        moved = await db.engine((tx) =>
          tx.run(sql`
            with mine as (
              select tenant_id, id from job_queue where tenant_id = ${tenantId} and topic = ${topic} and state = 'paused'
              order by n limit ${BATCH} for update skip locked)
            update job_queue q set state = 'ready' from mine m where m.tenant_id = q.tenant_id and m.id = q.id`),
        )
        any ||= moved > 0
      }
    }
    return any
  }

  return {
    of,
    fresh,
    async admit(tenantId, topic) {
      const limits = (await fresh(tenantId)).limits.get(topic)
      if (!limits || limits.maxDepth === null) return
      const depth = await depthOf(tenantId, topic, limits.maxDepth)
      if (depth.n >= limits.maxDepth)
        throw new Fault(
          'QUEUE_FULL',
          { topic, maxDepth: limits.maxDepth },
          { retryAfterMs: FULL_RETRY_MS, message: `${limits.maxDepth} jobs of ${topic} wait already; try again later` },
        )
      depth.n += 1
    },
    async halt(tx, { kind, name }, halt) {
      if (halt) await refuseTooMany(tx, kind === 'worker' ? 'worker_drains' : 'queue_settings')
      if (kind === 'worker') {
        await tx.run(
          halt
            ? sql`insert into worker_drains (tenant_id, worker_id, at, by, reason) values (${tx.tenantId}, ${name}, ${at(halt.at)}, ${halt.by}, ${halt.reason})
                on conflict (tenant_id, worker_id) do nothing`
            : sql`delete from worker_drains where worker_id = ${name}`,
        )
      } else {
        await tx.run(
          halt
            ? sql`insert into queue_settings (tenant_id, kind, name, paused_at, paused_by, pause_reason)
                values (${tx.tenantId}, ${kind}, ${name}, ${at(halt.at)}, ${halt.by}, ${halt.reason})
                on conflict (tenant_id, kind, name) do update set paused_at = excluded.paused_at, paused_by = excluded.paused_by,
                  pause_reason = excluded.pause_reason where queue_settings.paused_at is null`
            : sql`update queue_settings set paused_at = null, paused_by = '', pause_reason = '' where kind = ${kind} and name = ${name}`,
        )
        if (!halt) await tx.run(EMPTY)
      }
      changed(tx)
    },
    async limit(tx, topic, { maxDepth, maxAgeMs }) {
      if (maxDepth !== null || maxAgeMs !== null) await refuseTooMany(tx, 'queue_settings')
      await tx.run(sql`
        insert into queue_settings (tenant_id, kind, name, max_depth, max_age_ms) values (${tx.tenantId}, 'topic', ${topic}, ${maxDepth}, ${maxAgeMs})
        on conflict (tenant_id, kind, name) do update set max_depth = excluded.max_depth, max_age_ms = excluded.max_age_ms`)
      await tx.run(EMPTY)
      changed(tx)
    },
    async settle() {
      if (clock.now() - readAt > REREAD_MS) await read()
      if (clock.now() >= lookAt) {
        lookAt = clock.now() + LOOK_MS
        await setAside()
      }
      return takeBack()
    },
    async expired() {
      const found: { tenantId: string; id: string; maxAgeMs: number }[] = []
      for (const [tenantId, { limits }] of known)
        for (const [topic, { maxAgeMs }] of limits) {
          if (maxAgeMs === null) continue
          const rows = await db.engine((tx) =>
            tx.many<{ id: string }>(sql`
              select q.id from job_queue q join jobs j on j.tenant_id = q.tenant_id and j.id = q.id
               where q.tenant_id = ${tenantId} and q.topic = ${topic} and q.attempt = 1
                 and q.state in ('ready', 'waiting', 'undecided', 'paused', 'blocked') and j.created_at <= ${at(clock.now() - maxAgeMs)}
               limit 500`),
          )
          found.push(...rows.map(({ id }) => ({ tenantId, id, maxAgeMs })))
        }
      return found
    },
    onChange: (run) => void listeners.push(run),
    close: () => listening.close(),
  }
}
