import { Fault } from '@wheelhouse/contract'
import { iso, type Instant } from '../../kernel/clock/index.ts'
import { at, type Db, sql, type Statement } from '../../kernel/db/index.ts'
import type { DecisionName } from '../../kernel/policy/index.ts'

/** Which stored decisions are replayed. */
export interface Window {
  readonly from: Instant | null
  readonly until: Instant | null
  /** Over topics; the literal beginning keeps most others from being read. */
  readonly topic: { prefix: string; test: (topic: string) => boolean } | null
  readonly decisions: readonly DecisionName[] | null
  readonly rule: string | null
}

/** A place in the order of decisions, newest first. The time is PostgreSQL's own text, so that nothing is rounded. */
export interface Place {
  readonly at: string
  readonly id: string
}

/** Decisions about the same question with the same answer. What policy saw is here as JSON text. */
export interface Group {
  readonly topic: string
  readonly verb: string | null
  readonly tenant: string
  readonly principal: string
  readonly labels: string | null
  readonly meta: string | null
  /** In hex. */
  readonly facts_hash: string | null
  readonly decision: DecisionName
  readonly rule_id: string
  readonly reason: string
  readonly n: number
  /** One of them. */
  readonly job_id: string
}

/** The decisions (d) of the window between two places, whatever they say: what the index alone can tell. */
function within(tenant: string, { from, until }: Window, after: Place | null, end: Place | null = null): Statement {
  const where: Statement[] = [sql`d.tenant_id = ${tenant}`]
  // One bound on either side: of two the index may begin at the wider one, and read on to the other.
  if (end) where.push(sql`(d.at, d.id) >= (${end.at}::timestamptz, ${end.id}::uuid)`)
  else if (from !== null) where.push(sql`d.at >= ${at(from)}`)
  if (after) where.push(sql`(d.at, d.id) < (${after.at}::timestamptz, ${after.id}::uuid)`)
  else if (until !== null) where.push(sql`d.at < ${at(until)}`)
  return sql.join(where, sql` and `)
}

/** Of them those to replay. Answers of nobody (no policy was loaded) and of people (`approval granted`, jobs.md 20.7) are not. */
function chosen({ decisions, rule }: Window): Statement {
  const where: Statement[] = [
    sql`not (d.decision = 'THROTTLE' and d.snapshot = '')`,
    sql`not (d.decision = 'ALLOW' and d.reason = 'approval granted')`,
  ]
  if (decisions) where.push(sql`d.decision = any(${[...decisions]})`)
  if (rule !== null) where.push(sql`d.rule_id = ${rule}`)
  return sql.join(where, sql` and `)
}

/**
 * Where a batch of so many decisions after a place ends; null when it is the last one. Those that are not replayed count too, so
 * that a read is bounded however few are chosen.
 */
export async function batchEnd(
  db: Db,
  tenantId: string,
  window: Window,
  after: Place | null,
  size: number,
): Promise<Place | null> {
  const [row] = await db.big(
    tenantId,
    (tenant) => sql<Place>`
      select d.at::text as at, d.id from decisions d where ${within(tenant, window, after)}
       order by d.at desc, d.id desc offset ${size - 1} limit 1`,
  )
  return row ?? null
}

/**
 * The decisions between two places, grouped by what policy saw. Labels that an approval added later are taken off again: the
 * decision was made without them.
 */
export function readBatch(
  db: Db,
  tenantId: string,
  window: Window,
  after: Place | null,
  end: Place | null,
): Promise<Group[]> {
  const prefix = window.topic?.prefix ?? ''
  return db.big(
    tenantId,
    (tenant) => sql<Group>`
      select j.topic, j.verb, j.tenant, j.principal, j.labels::text as labels, j.meta::text as meta, encode(d.facts_hash, 'hex') as facts_hash,
             d.decision, d.rule_id, max(d.reason) as reason, count(*)::int as n, max(d.job_id) as job_id
        from decisions d
        -- One look-up for each decision, never a scan of all jobs for each batch: the limit keeps the planner to it.
        cross join lateral (
          select topic, verb, coalesce(request ->> 'tenant', '') as tenant, coalesce(request ->> 'principalId', '') as principal,
                 case when approval_id is null then request -> 'labels'
                   else (request -> 'labels') - '{approval_granted,approval_reason,approval_note,cordum.bus_msg_id}'::text[] end as labels,
                 (request -> 'meta') - 'idempotencyKey' as meta
            from jobs where tenant_id = d.tenant_id and id = d.job_id limit 1) j
       where ${within(tenant, window, after, end)} and ${chosen(window)}
         ${prefix === '' ? sql`` : sql`and starts_with(j.topic, ${prefix})`}
       group by j.topic, j.verb, j.tenant, j.principal, j.labels, j.meta, d.facts_hash, d.decision, d.rule_id`,
  )
}

const MOST_COUNTED = 1_000_000

/** How many decisions of the window come after a place; counted up to a million. */
export async function countAfter(db: Db, tenantId: string, window: Window, after: Place | null): Promise<number> {
  const [row] = await db.big(
    tenantId,
    (tenant) => sql<{ n: number }>`
      select count(*) as n from (select 1 from decisions d where ${within(tenant, window, after)} limit ${MOST_COUNTED}) counted`,
  )
  return row?.n ?? 0
}

/** Facts as JSON text. Their hashes are in hex. */
export async function readFacts(
  db: Db,
  tenantId: string,
  hashes: readonly string[],
): Promise<{ hash: string; body: string }[]> {
  if (hashes.length === 0) return []
  const wanted = hashes.map((each) => Buffer.from(each, 'hex'))
  return db.big(
    tenantId,
    (tenant) => sql<{ hash: string; body: string }>`
      select encode(hash, 'hex') as hash, body::text as body from facts
       where tenant_id = ${tenant} and hash = any(${wanted}::bytea[])`,
  )
}

/** Names a stored decision of a job, as far as it matters here. */
export const storedKey = (jobId: string, decision: string, rule: string): string => `${jobId} ${decision} ${rule}`

/** When these jobs got their decisions, by `storedKey`. */
export async function readTimes(db: Db, tenantId: string, jobIds: readonly string[]): Promise<Map<string, string>> {
  if (jobIds.length === 0) return new Map()
  const rows = await db.big(
    tenantId,
    (tenant) => sql<{ key: string; at: Instant }>`
      select job_id || ' ' || decision || ' ' || rule_id as key, max(at) as at from decisions
       where tenant_id = ${tenant} and job_id = any(${[...jobIds]}) group by 1`,
  )
  return new Map(rows.map(({ key, at: when }) => [key, iso(when)]))
}

const CURSOR = /^(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(?:\.\d+)?[+-]\d{2}(?::\d{2})?)\|([0-9a-f-]{36})$/

/** Its time, in our own milliseconds. */
export const instantOf = (place: Place): Instant => Date.parse(place.at.replace(/([+-]\d{2})$/, '$1:00'))

/** The opaque form of a place. */
export const writeCursor = ({ at: when, id }: Place): string => Buffer.from(`${when}|${id}`).toString('base64url')

/** Throws VAL_SCHEMA for what is not a cursor of ours. */
export function readCursor(text: string): Place {
  const found = CURSOR.exec(Buffer.from(text, 'base64url').toString())
  const [, when, id] = found ?? []
  if (when === undefined || id === undefined)
    throw new Fault('VAL_SCHEMA', {}, { message: 'cursor must be that of an earlier answer' })
  return { at: when, id }
}
