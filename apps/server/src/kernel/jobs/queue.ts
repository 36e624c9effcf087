import type { Instant } from '../clock/index.ts'
import { at, type Db, sql, storable, type Tx } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'
import type { Constraints } from '../policy/index.ts'
import type { JobRequest } from './request.ts'

/** How long a claim holds without renewal (decisions D5). */
export const LEASE_MS = 30_000
/** A job whose lease ran out so often is given up. */
export const MAX_RECOVERIES = 10

/** Room for one job of a tenant: on a worker, or (null) in this process or on a topic. */
export interface Slot {
  tenantId: string
  workerId: string | null
  account: string | null
}

/** A job that this replica has claimed. */
export interface Claimed {
  tenantId: string
  id: string
  traceId: string
  pool: string
  fence: number
  attempt: number
  maxAttempts: number
  recoveries: number
  /** Where it stood in its queue (fair.ts). */
  n: number
  expiresAt: Instant
  startedAt: Instant
  workerId: string | null
  account: string | null
  constraints: Constraints | null
  request: JobRequest
  verb: string | null
  /** Of verbs, and of jobs that were approved. */
  context: string | null
  approvalId: string | null
  decisionId: string
  createdAt: Instant
  /** Of verbs alone. */
  principal: Principal | null
}

// Each tenant's slots lie together: the k-th job of a tenant gets the slot at `first + k`. What was picked goes through arrays, which the
// planner takes for ten rows: of a limit that it does not know it expects a tenth of the queue, and would read a long one whole to join it.
const CLAIM = `
with share as (
  select * from unnest($2::uuid[], $3::int[], $4::int[]) as s(tenant_id, most, first)
), picked as materialized (
  select q.*, s.first from share s cross join lateral (
    select tenant_id, id, priority, n from job_queue
    where state = 'ready' and pool = $1 and tenant_id = s.tenant_id
    order by priority desc, n limit s.most for update skip locked) q
), numbered as (
  select tenant_id, id, first + row_number() over (partition by tenant_id order by priority desc, n) as slot from picked
), listed as (
  select array_agg(tenant_id) as tenants, array_agg(id) as ids, array_agg(slot) as slots from numbered
)
update job_queue q set state = 'leased', fence = q.fence + 1, lease_owner = $7, lease_until = $8, started_at = $9, run_at = null,
  expires_at = least(q.deadline, $9::timestamptz + q.timeout_ms * interval '1 millisecond'),
  worker_id = ($5::text[])[p.slot], account = ($6::text[])[p.slot]
from listed l cross join lateral unnest(l.tenants, l.ids, l.slots) as p(tenant_id, id, slot)
join jobs j on j.tenant_id = p.tenant_id and j.id = p.id
left join job_principals pr on j.verb is not null and pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash
where q.tenant_id = p.tenant_id and q.id = p.id
returning q.tenant_id as "tenantId", q.id, j.trace_id as "traceId", q.pool, q.fence, q.attempt, q.max_attempts as "maxAttempts", q.recoveries, q.n,
  q.expires_at as "expiresAt", q.started_at as "startedAt", q.worker_id as "workerId", q.account, q.constraints, j.request, j.verb,
  case when j.verb is not null or j.approval_id is not null then j.context end as context,
  j.approval_id as "approvalId", j.decision_id as "decisionId", j.created_at as "createdAt", pr.principal`

/**
 * Claims ready jobs of one pool, one for each slot at most, over several tenants in one statement: each tenant's by priority, then age.
 * Raises their fences. Of replicas that claim at once each gets others.
 */
export async function claim(
  tx: Tx,
  pool: string,
  slots: readonly Slot[],
  owner: number,
  now: Instant,
): Promise<Claimed[]> {
  const byTenant = new Map<string, Slot[]>()
  for (const slot of slots) {
    const mine = byTenant.get(slot.tenantId)
    if (mine) mine.push(slot)
    else byTenant.set(slot.tenantId, [slot])
  }
  const shares = [...byTenant]
  const inOrder = shares.flatMap(([, mine]) => mine)
  let first = 0
  const firsts = shares.map(([, mine]) => (first += mine.length) - mine.length)
  const { rows } = await tx.query<Claimed & Record<string, unknown>>(CLAIM, [
    pool,
    shares.map(([tenantId]) => tenantId),
    shares.map(([, mine]) => mine.length),
    firsts,
    inOrder.map(({ workerId }) => workerId),
    inOrder.map(({ account }) => account),
    owner,
    new Date(now + LEASE_MS),
    new Date(now),
  ])
  return rows.sort((a, b) => a.n - b.n)
}

export interface Held {
  tenantId: string
  id: string
  fence: number
}

/** Prolongs claims. Returns those that are still ours, as `<tenant> <id>`. */
export async function renew(tx: Tx, claims: readonly Held[], now: Instant): Promise<Set<string>> {
  const sorted = claims.toSorted(byKey)
  const { rows } = await tx.query<{ tenant_id: string; id: string }>(
    `with mine as (
       select q.* from unnest($1::uuid[], $2::text[], $3::bigint[]) as c(tenant_id, id, fence)
       cross join lateral (
         select tenant_id, id from job_queue
          where tenant_id = c.tenant_id and id = c.id and fence = c.fence and state = 'leased' for update) q)
     update job_queue q set lease_until = $4 from mine m where m.tenant_id = q.tenant_id and m.id = q.id returning q.tenant_id, q.id`,
    [
      sorted.map(({ tenantId }) => tenantId),
      sorted.map(({ id }) => id),
      sorted.map(({ fence }) => fence),
      new Date(now + LEASE_MS),
    ],
  )
  return new Set(rows.map((row) => `${row.tenant_id} ${row.id}`))
}

/**
 * Gives claims back: ready at `runAt` (now when null). For no worker that fits, a lost worker, a full tenant, a retry. With `owner` only
 * what that replica holds.
 */
export async function release(
  tx: Tx,
  claims: readonly (Held & { runAt: Instant | null; nextAttempt?: boolean; lost?: boolean })[],
  owner: number | null = null,
): Promise<void> {
  const sorted = claims.toSorted(byKey)
  await tx.query(
    `with mine as (
       select q.*, c.run_at, c.retry, c.lost
       from unnest($1::uuid[], $2::text[], $3::bigint[], $4::timestamptz[], $5::int[], $6::int[]) as c(tenant_id, id, fence, run_at, retry, lost)
       cross join lateral (
         select tenant_id, id from job_queue
          where tenant_id = c.tenant_id and id = c.id and fence = c.fence and state = 'leased' and lease_owner = coalesce($7::bigint, lease_owner)
          for update) q)
     update job_queue q set state = case when m.run_at is null then 'ready' else 'waiting' end, run_at = m.run_at, lease_owner = null,
       lease_until = null, expires_at = null, started_at = null, worker_id = null, account = null,
       attempt = q.attempt + m.retry, recoveries = q.recoveries + m.lost
     from mine m where m.tenant_id = q.tenant_id and m.id = q.id`,
    [
      sorted.map(({ tenantId }) => tenantId),
      sorted.map(({ id }) => id),
      sorted.map(({ fence }) => fence),
      sorted.map(({ runAt }) => at(runAt)),
      sorted.map(({ nextAttempt }) => (nextAttempt ? 1 : 0)),
      sorted.map(({ lost }) => (lost ? 1 : 0)),
      owner,
    ],
  )
}

/** Another worker than the one that the claim's slot named was chosen. */
export async function reassign(
  tx: Tx,
  claims: readonly (Held & { workerId: string | null; account: string | null })[],
): Promise<void> {
  await tx.run(sql`
    update job_queue q set worker_id = c.worker_id, account = c.account
      from unnest(${claims.map(({ tenantId }) => tenantId)}::uuid[], ${claims.map(({ id }) => id)}::text[], ${claims.map(({ fence }) => fence)}::bigint[],
        ${claims.map(({ workerId }) => workerId)}::text[], ${claims.map(({ account }) => account)}::text[]) as c(tenant_id, id, fence, worker_id, account)
     where c.tenant_id = q.tenant_id and c.id = q.id and c.fence = q.fence and q.state = 'leased'`)
}

/** Which pools of which tenants have ready jobs, and which is the first: hops over the claim's index, so its cost is the number of pairs. */
export async function readyPools(db: Db): Promise<{ pool: string; tenantId: string; rank: number; n: number }[]> {
  return db.engine((tx) =>
    tx.many<{ pool: string; tenantId: string; rank: number; n: number }>(sql`
      with recursive pairs as (
        (select pool, tenant_id, priority, n from job_queue where state = 'ready' order by pool, tenant_id, priority desc, n limit 1)
        union all
        select next.pool, next.tenant_id, next.priority, next.n from pairs, lateral (
          select pool, tenant_id, priority, n from job_queue
          where state = 'ready' and (pool, tenant_id) > (pairs.pool, pairs.tenant_id)
          order by pool, tenant_id, priority desc, n limit 1) next
      )
      select pool, tenant_id as "tenantId", priority as rank, n from pairs limit 100000`),
  )
}

/** Under which names jobs of which tenants are set aside; as `readyPools`, over the index of that state. At most 10,000. */
export async function parkedUnder(
  db: Db,
  state: 'paused' | 'blocked',
  column: 'topic' | 'park_key',
): Promise<{ tenantId: string; name: string }[]> {
  const name = sql.ref(column)
  // Literal: the index is a partial one.
  const there = sql`state = ${sql.lit(state)}`
  return db.engine((tx) =>
    tx.many<{ tenantId: string; name: string }>(sql`
      with recursive pairs as (
        (select tenant_id, ${name} as name from job_queue where ${there} order by tenant_id, ${name} limit 1)
        union all
        select next.tenant_id, next.name from pairs, lateral (
          select tenant_id, ${name} as name from job_queue where ${there} and (tenant_id, ${name}) > (pairs.tenant_id, pairs.name)
          order by tenant_id, ${name} limit 1) next
      )
      select tenant_id as "tenantId", name from pairs limit 10000`),
  )
}

/** Jobs whose waiting time is over become ready. Returns how many. */
export async function ripen(db: Db, now: Instant): Promise<number> {
  return db.engine((tx) =>
    tx.run(sql`
      with due as (
        select tenant_id, id from job_queue where state = 'waiting' and run_at <= ${at(now)}
        order by run_at limit 1000 for update skip locked)
      update job_queue q set state = 'ready', run_at = null, n = least(q.n, ${now * 1000}) from due d where d.tenant_id = q.tenant_id and d.id = q.id`),
  )
}

export interface LostLease extends Held {
  attempt: number
  recoveries: number
  workerId: string | null
  startedAt: Instant | null
}

/**
 * Frees leases that ran out, and those of owners that are known to be dead. The attempt stays the same: it is taken over, not repeated.
 * Each is noted among the job's attempts.
 */
export async function freeLeases(db: Db, now: Instant, deadOwners: readonly number[]): Promise<LostLease[]> {
  return db.engine((tx) =>
    tx.many<LostLease>(sql`
      with lost as (
        select tenant_id, id, started_at, worker_id from job_queue
        where state = 'leased' and (lease_until <= ${at(now)} or lease_owner = any(${[...deadOwners]}::bigint[]))
        order by tenant_id, id limit 1000 for update skip locked
      ), freed as (
        update job_queue q set state = 'ready', lease_owner = null, lease_until = null, expires_at = null, started_at = null,
          worker_id = null, account = null, recoveries = q.recoveries + 1
        from lost l where l.tenant_id = q.tenant_id and l.id = q.id
        returning q.tenant_id, q.id, q.fence, q.attempt, q.recoveries, l.started_at, l.worker_id
      ), noted as (
        insert into job_attempts (tenant_id, job_id, fence, attempt, worker_id, started_at, ended_at, outcome, error_code, error_message)
        select tenant_id, id, fence, attempt, worker_id, started_at, ${at(now)}, 'lost', 'lease_lost', 'whoever worked on it was not heard of any more'
        from freed on conflict do nothing
      )
      select tenant_id as "tenantId", id, fence, attempt, recoveries, worker_id as "workerId", started_at as "startedAt" from freed`),
  )
}

/** Who holds leases, but for ourselves. */
export async function leaseOwners(db: Db, self: number): Promise<number[]> {
  const rows = await db.engine((tx) =>
    tx.many<{ owner: number }>(
      sql`select distinct lease_owner as owner from job_queue where state = 'leased' and lease_owner <> ${self} limit 1000`,
    ),
  )
  return rows.map(({ owner }) => owner)
}

/** Jobs that have not ended by their deadline. */
export async function overdue(db: Db, now: Instant): Promise<{ tenantId: string; id: string }[]> {
  return db.engine((tx) =>
    tx.many<{ tenantId: string; id: string }>(sql`
      select tenant_id as "tenantId", id from job_queue
       where deadline <= ${at(now)} and state <> 'cancelling' order by deadline limit 200`),
  )
}

export interface OverTime extends Held {
  attempt: number
  maxAttempts: number
  workerId: string | null
  account: string | null
  startedAt: Instant
}

/** Attempts that are over time. Verbs get a minute more: whoever runs one ends it itself. */
export async function overTime(db: Db, now: Instant): Promise<OverTime[]> {
  return db.engine((tx) =>
    tx.many<OverTime>(sql`
      select tenant_id as "tenantId", id, fence, attempt, max_attempts as "maxAttempts", worker_id as "workerId", account, started_at as "startedAt"
        from job_queue
       where state = 'leased' and expires_at <= ${at(now)}::timestamptz - case when pool = 'wh' then interval '1 minute' else interval '0' end
       order by tenant_id, id limit 200`),
  )
}

/** Notes an attempt that failed and is to be followed by another. */
export async function noteAttempt(
  tx: Tx,
  claimed: Pick<Claimed, 'tenantId' | 'id' | 'fence' | 'attempt' | 'workerId' | 'startedAt'>,
  now: Instant,
  end: { outcome: 'failed' | 'timed_out' | 'lost'; code: string; message: string },
): Promise<void> {
  await tx.run(sql`
    insert into job_attempts (tenant_id, job_id, fence, attempt, worker_id, started_at, ended_at, outcome, error_code, error_message)
    values (${claimed.tenantId}, ${claimed.id}, ${claimed.fence}, ${claimed.attempt}, ${claimed.workerId}, ${at(claimed.startedAt)},
      ${at(now)}, ${end.outcome}, ${end.code}, ${storable(end.message, 4000)}) on conflict do nothing`)
}

export interface Undecided {
  tenantId: string
  id: string
  request: JobRequest
  verb: string | null
  context: string | null
  factsBody: Record<string, unknown> | null
  principal: Principal
}

/** Jobs about which policy is to be asked again; nobody else gets them for `againMs`. */
export async function takeUndecided(db: Db, now: Instant, againMs: number): Promise<Undecided[]> {
  return db.engine((tx) =>
    tx.many<Undecided>(sql`
      with due as (
        select tenant_id, id from job_queue where state = 'undecided' and run_at <= ${at(now)}
        order by run_at limit 200 for update skip locked)
      update job_queue q set run_at = ${at(now + againMs)}
        from due d
        join jobs j on j.tenant_id = d.tenant_id and j.id = d.id
        join job_principals pr on pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash
        join decisions de on de.tenant_id = j.tenant_id and de.job_id = j.id and de.id = j.decision_id
        left join facts f on f.tenant_id = de.tenant_id and f.hash = de.facts_hash
       where q.tenant_id = d.tenant_id and q.id = d.id
      returning q.tenant_id as "tenantId", q.id, j.request, j.verb, j.context, f.body as "factsBody", pr.principal`),
  )
}

/** Facts and snapshot of the decisions that these jobs were released by. */
export async function decisionsOf(
  tx: Tx,
  jobs: readonly { tenantId: string; id: string; decisionId: string }[],
): Promise<Map<string, { snapshot: string; ruleDigest: string; facts: Record<string, unknown> | null }>> {
  const rows = await tx.many<{
    key: string
    snapshot: string
    digest: string | null
    facts: Record<string, unknown> | null
  }>(sql`
    select d.tenant_id || ' ' || d.job_id as key, d.snapshot, d.body ->> 'ruleDigest' as digest, f.body as facts
      from unnest(${jobs.map(({ tenantId }) => tenantId)}::uuid[], ${jobs.map(({ id }) => id)}::text[], ${jobs.map(({ decisionId }) => decisionId)}::uuid[])
        as w(tenant_id, job_id, id)
      join decisions d on d.tenant_id = w.tenant_id and d.job_id = w.job_id and d.id = w.id
      left join facts f on f.tenant_id = d.tenant_id and f.hash = d.facts_hash`)
  return new Map(
    rows.map((row) => [row.key, { snapshot: row.snapshot, ruleDigest: row.digest ?? '', facts: row.facts }]),
  )
}

/** The hashes that approvals of these jobs bind, of those that were approved. */
export async function approvedHashes(
  tx: Tx,
  jobs: readonly { tenantId: string; approvalId: string | null }[],
): Promise<Map<string, string>> {
  const asked = jobs.filter(({ approvalId }) => approvalId !== null)
  if (asked.length === 0) return new Map()
  const rows = await tx.many<{ id: string; hash: string }>(sql`
    select a.id, a.hash
      from unnest(${asked.map(({ tenantId }) => tenantId)}::uuid[], ${asked.map(({ approvalId }) => approvalId)}::uuid[]) as w(tenant_id, id)
      join approvals a on a.tenant_id = w.tenant_id and a.id = w.id
     where a.state = 'approved'`)
  return new Map(rows.map(({ id, hash }) => [id, hash]))
}

export const byKey = (a: { tenantId: string; id: string }, b: { tenantId: string; id: string }): number =>
  a.tenantId === b.tenantId ? (a.id < b.id ? -1 : 1) : a.tenantId < b.tenantId ? -1 : 1
