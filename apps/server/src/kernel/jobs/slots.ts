import type { Clock } from '../clock/index.ts'
import { type Db, sql, type Tx } from '../db/index.ts'
import { byKey, type Held, parkedUnder } from './queue.ts'

/** Labels by which jobs say that only so many of them run at the same time, in their tenant (default limit: 1). */
const KEY_LABEL = 'concurrency.key'
const LIMIT_LABEL = 'concurrency.limit'
const MAX_LIMIT = 10_000

export interface ConcurrencyKey {
  key: string
  limit: number
}

/** The concurrency key of a job and how many run under it; undefined when it has none. */
export function concurrencyOf(labels: Readonly<Record<string, string>> | undefined): ConcurrencyKey | undefined {
  const key = labels?.[KEY_LABEL]
  if (key === undefined || key === '') return undefined
  const limit = Number(labels?.[LIMIT_LABEL] ?? 1)
  return { key: key.slice(0, 256), limit: Number.isInteger(limit) && limit >= 1 ? Math.min(limit, MAX_LIMIT) : 1 }
}

export interface Bid extends Held, ConcurrencyKey {}

/** Runs of one key, over all replicas. Who is too many is parked as `blocked` and comes back when one has ended. */
export interface Slots {
  /** Of these claims, those that may run now have a slot; the others are parked. Returns the parked ones as `<tenant> <id>`. */
  take(bids: readonly Bid[]): Promise<Set<string>>
  /** Lets as many parked jobs of a key go as there is room for. Returns how many. */
  promote(tenantId: string, key: string): Promise<number>
  /** The same for every key that has parked jobs. Repeatable; for what a lost replica left behind. */
  promoteAll(): Promise<number>
}

/** One key at a time over all replicas; ends with the transaction. */
const lockKey = (tx: Tx, tenantId: string, key: string): Promise<unknown> =>
  tx.maybe(sql`select pg_advisory_xact_lock(hashtextextended(${`slots ${tenantId} ${key}`}, 0))`)

/** Slots whose job is no longer under that claim are nobody's. */
async function taken(tx: Tx, tenantId: string, key: string): Promise<number> {
  await tx.run(sql`
    delete from job_slots s where s.tenant_id = ${tenantId} and s.key = ${key} and not exists (
      select from job_queue q where q.tenant_id = s.tenant_id and q.id = s.job_id and q.state = 'leased' and q.fence = s.fence)`)
  const { n } = await tx.one<{ n: number }>(
    sql`select count(*)::int as n from job_slots where tenant_id = ${tenantId} and key = ${key}`,
  )
  return n
}

export function openSlots({ db, clock }: { db: Db; clock: Clock }): Slots {
  async function promote(tenantId: string, key: string): Promise<number> {
    return db.engine(async (tx) => {
      await lockKey(tx, tenantId, key)
      const first = await tx.maybe<{ labels: Record<string, string> | null }>(sql`
        select j.request -> 'labels' as labels from job_queue q join jobs j on j.tenant_id = q.tenant_id and j.id = q.id
         where q.tenant_id = ${tenantId} and q.park_key = ${key} and q.state = 'blocked' order by q.n limit 1`)
      if (!first) return 0
      const room = (concurrencyOf(first.labels ?? {})?.limit ?? 1) - (await taken(tx, tenantId, key))
      if (room <= 0) return 0
      return tx.run(sql`
        with next as (
          select tenant_id, id from job_queue where tenant_id = ${tenantId} and park_key = ${key} and state = 'blocked'
          order by n limit ${room} for update skip locked)
        update job_queue q set state = 'ready', park_key = null, n = least(q.n, ${clock.now() * 1000})
        from next where next.tenant_id = q.tenant_id and next.id = q.id`)
    })
  }

  return {
    promote,
    async take(bids) {
      const parked = new Set<string>()
      const byName = new Map<string, Bid[]>()
      for (const bid of bids) {
        const name = `${bid.tenantId} ${bid.key}`
        const same = byName.get(name)
        if (same) same.push(bid)
        else byName.set(name, [bid])
      }
      for (const [, [first, ...others]] of [...byName].sort(([a], [b]) => (a < b ? -1 : 1))) {
        if (!first) continue
        const { tenantId, key } = first
        await db.engine(async (tx) => {
          await lockKey(tx, tenantId, key)
          let running = await taken(tx, tenantId, key)
          const blocked: Bid[] = []
          for (const bid of [first, ...others]) {
            if (running >= bid.limit) {
              blocked.push(bid)
              continue
            }
            running += 1
            await tx.run(sql`
              insert into job_slots (tenant_id, key, job_id, fence) values (${tenantId}, ${key}, ${bid.id}, ${bid.fence})
              on conflict (tenant_id, key, job_id) do update set fence = excluded.fence`)
          }
          await park(tx, blocked)
          for (const { id } of blocked) parked.add(`${tenantId} ${id}`)
        })
      }
      return parked
    },
    async promoteAll() {
      let n = 0
      for (const { tenantId, name } of await parkedUnder(db, 'blocked', 'park_key')) n += await promote(tenantId, name)
      return n
    },
  }
}

/** Ends claims without an end of their jobs: those wait for their key, or (without one) until their topic is resumed. */
export async function park(tx: Tx, claims: readonly (Held & { key?: string })[]): Promise<void> {
  if (claims.length === 0) return
  const sorted = claims.toSorted(byKey)
  await tx.query(
    `with mine as (
       select q.*, b.key from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[]) as b(tenant_id, id, fence, key)
       cross join lateral (
         select tenant_id, id from job_queue
          where tenant_id = b.tenant_id and id = b.id and fence = b.fence and state = 'leased' for update) q)
     update job_queue q set state = case when m.key is null then 'paused' else 'blocked' end, park_key = m.key, run_at = null, lease_owner = null, lease_until = null, expires_at = null,
       started_at = null, worker_id = null, account = null
     from mine m where m.tenant_id = q.tenant_id and m.id = q.id`,
    [
      sorted.map(({ tenantId }) => tenantId),
      sorted.map(({ id }) => id),
      sorted.map(({ fence }) => fence),
      sorted.map(({ key }) => key ?? null),
    ],
  )
}
