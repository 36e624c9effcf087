import { LRUCache } from 'lru-cache'
import { ids, type Instant } from '../clock/index.ts'
import { at, type Tx } from '../db/index.ts'
import { actorOf, type Principal } from '../identity/index.ts'
import { contentHash, type Decision, type Facts } from '../policy/index.ts'
import { type JobRequest, rankOf } from './request.ts'
import { type QueueState, wireStatus } from './state.ts'

/** A job about to be recorded, decided. */
export interface NewRow {
  id: string
  traceId: string
  at: Instant
  /** Microseconds; unique within the process. */
  us: number
  /** Place in its queue (fair.ts). */
  n: number
  principal: Principal
  request: JobRequest
  context: string | null
  decision: Decision
  facts: Facts | null
  /** The step that it is done for; told of its end. */
  step: { runId: string; key: string } | null
  jobHash: string | null
  approvalId: string | null
  executor: { kind: 'server' | 'agent' | 'worker'; id: string | null }
  pool: string
  /** Null: it ended with its submission. */
  queue: {
    state: QueueState
    runAt: Instant | null
    /** Claimed with the submission, because a worker was free and nothing waited before it. */
    lease: { owner: number; until: Instant; expiresAt: Instant; workerId: string | null; account: string | null } | null
  } | null
  maxAttempts: number
  timeoutMs: number
  deadline: Instant | null
  /** How it ended, when `queue` is null. */
  ended: { state: 'denied' | 'failed'; code: string; message: string } | null
}

/** Content that this process has written within the last minutes: not written again. */
const known = new LRUCache<string, true>({ max: 10_000, ttl: 10 * 60_000 })
const principalHashes = new WeakMap<Principal, Buffer>()

/** Of the rights and the name, without what differs between two uses of one credential. */
function hashOf(principal: Principal): Buffer {
  const cached = principalHashes.get(principal)
  if (cached) return cached
  const hash = Buffer.from(contentHash(principal), 'hex')
  principalHashes.set(principal, hash)
  return hash
}

/** What a decision says beyond its own columns; null when nothing. */
function decisionBody({ source, ruleDigest, constraints, approval, remediations }: Decision): string | null {
  if (source === '' && !constraints && !approval && remediations.length === 0) return null
  return JSON.stringify({ source, ruleDigest, constraints, approval, remediations })
}

interface Boxed {
  jobId: string
  tenantId: string
  id: string
  kind: 'event' | 'audit'
  at: Date
  body: string
}

/** The event and the audit row of a submission. */
function boxed(row: NewRow): Boxed[] {
  const { principal, request, decision } = row
  const actor = actorOf(principal)
  const resource = { kind: 'job', id: row.id }
  const facts = { topic: request.topic, ...(request.verb === undefined ? {} : { verb: request.verb }) }
  const outcome = row.ended?.state ?? (row.queue?.state === 'held' ? 'held' : 'submitted')
  const event = {
    type: `job.${outcome}`,
    actor,
    resource,
    correlationId: row.traceId,
    data: {
      ...facts,
      traceId: row.traceId,
      decision: decision.decision,
      ...(decision.ruleId === '' ? {} : { ruleId: decision.ruleId }),
      ...(decision.reason === '' ? {} : { reason: decision.reason }),
      ...(row.approvalId === null ? {} : { approvalId: row.approvalId }),
      ...(row.ended ? { code: row.ended.code, message: row.ended.message } : {}),
    },
    schema: 1,
  }
  const audit = {
    actor,
    verb: 'job.submit',
    resourceKind: 'job',
    resourceId: row.id,
    outcome: row.ended?.state === 'denied' ? 'denied' : 'ok',
    traceId: row.traceId,
    jobId: row.id,
    metadata: { ...facts, decision: decision.decision, rule: decision.ruleId },
  }
  const common = { jobId: row.id, tenantId: principal.tenantId, at: new Date(row.at) }
  return [
    { ...common, id: ids.next(), kind: 'event', body: JSON.stringify(event) },
    { ...common, id: ids.next(), kind: 'audit', body: JSON.stringify(audit) },
  ]
}

const INSERT = `
with input as (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::timestamptz[], $9::text[], $10::text[],
    $11::uuid[], $12::bytea[], $13::uuid[], $14::uuid[], $15::text[], $16::text[], $17::text[], $18::timestamptz[], $19::text[], $20::text[],
    $21::text[], $22::text[], $23::smallint[], $24::timestamptz[], $25::int[], $26::bigint[], $27::bigint[], $28::timestamptz[], $29::timestamptz[], $30::text[],
    $31::text[], $32::text[], $33::text[], $34::text[], $35::text[], $36::text[], $37::bytea[], $38::text[], $39::text[], $40::text[], $47::bigint[],
    $48::text[], $49::text[])
  as i(tenant_id, id, trace_id, topic, verb, state, us, at, request, context,
    principal_id, principal_hash, decision_id, approval_id, parent_id, executor_kind, executor_id, deadline, error_code, error_message,
    pool, queue_state, priority, run_at, max_attempts, timeout_ms, lease_owner, lease_until, expires_at, worker_id,
    account, decision, reason, rule_id, snapshot, decision_body, facts_hash, job_hash, status, constraints, n, run_id, step_key)
), made as (
  insert into jobs (tenant_id, id, trace_id, topic, verb, state, updated_us, created_at, request, context, principal_id, principal_hash, decision_id,
    approval_id, parent_id, executor_kind, executor_id, deadline, ended_at, error_code, error_message, run_id, step_key)
  select tenant_id, id, trace_id, topic, verb, state, us, at, request::jsonb, context, principal_id, principal_hash, decision_id,
    approval_id, parent_id, executor_kind, executor_id, deadline, case when state = 'open' then null else at end, error_code, error_message, run_id, step_key
  from input on conflict do nothing returning tenant_id, id
), queued as (
  insert into job_queue (tenant_id, id, pool, priority, n, state, run_at, max_attempts, timeout_ms, deadline,
    fence, lease_owner, lease_until, expires_at, started_at, worker_id, account, constraints, topic, principal_id)
  select i.tenant_id, i.id, pool, priority, n, queue_state, run_at, max_attempts, timeout_ms, deadline,
    case when lease_owner is null then 0 else 1 end, lease_owner, lease_until, expires_at, case when lease_owner is null then null else at end, worker_id, account, constraints::jsonb, topic, principal_id
  from input i join made using (tenant_id, id) where queue_state is not null
), decided as (
  insert into decisions (tenant_id, job_id, id, at, decision, reason, rule_id, snapshot, body, facts_hash, job_hash)
  select i.tenant_id, i.id, decision_id, at, decision, reason, rule_id, snapshot, decision_body::jsonb, facts_hash, job_hash
  from input i join made using (tenant_id, id)
), dead as (
  insert into dead_letters (tenant_id, job_id, topic, status, reason, reason_code, last_state, attempts, created_at, us)
  select i.tenant_id, i.id, topic, status, error_message, error_code, 'PENDING', 0, at, us
  from input i join made using (tenant_id, id) where state <> 'open'
  on conflict do nothing
), boxed as (
  insert into outbox (tenant_id, id, kind, at, body)
  select b.tenant_id, b.id, b.kind, b.at, b.body::jsonb
  from unnest($41::uuid[], $42::text[], $43::uuid[], $44::text[], $45::timestamptz[], $46::text[]) as b(tenant_id, job_id, id, kind, at, body)
  join made m on m.tenant_id = b.tenant_id and m.id = b.job_id
)
select tenant_id, id from made`

const KNOWN = `
with p as (
  insert into job_principals (tenant_id, hash, principal)
  select t, h, b::jsonb from unnest($1::uuid[], $2::bytea[], $3::text[]) as x(t, h, b) on conflict do nothing
)
insert into facts (tenant_id, hash, body)
select t, h, b::jsonb from unnest($4::uuid[], $5::bytea[], $6::text[]) as x(t, h, b) on conflict do nothing`

/** Content that rows refer to by hash and that this process has not written lately, in the order of its keys. */
function unknownContent(rows: readonly NewRow[], factHashes: readonly (Buffer | null)[]) {
  const principals = new Map<string, { tenant: string; hash: Buffer; body: string }>()
  const facts = new Map<string, { tenant: string; hash: Buffer; body: string }>()
  for (const [index, row] of rows.entries()) {
    const tenant = row.principal.tenantId
    const hash = hashOf(row.principal)
    const key = `p ${tenant} ${hash.toString('hex')}`
    if (!known.has(key) && !principals.has(key))
      principals.set(key, { tenant, hash, body: JSON.stringify(row.principal) })
    const factHash = factHashes[index]
    if (!factHash) continue
    const factKey = `f ${tenant} ${factHash.toString('hex')}`
    if (!known.has(factKey) && !facts.has(factKey))
      facts.set(factKey, { tenant, hash: factHash, body: JSON.stringify(row.facts) })
  }
  const sorted = <V>(map: Map<string, V>): [string, V][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1))
  return { principals: sorted(principals), facts: sorted(facts) }
}

/**
 * Records jobs with their decisions, queue rows, events and audit rows: one statement for all of them, in the order of their keys.
 * Returns the ids that were new, as `<tenant> <id>`; a known id changes nothing.
 */
export async function insertJobs(tx: Tx, given: readonly NewRow[]): Promise<Set<string>> {
  const rows = given.length === 1 ? given : given.toSorted(byKey)
  const factHashes = rows.map(({ facts }) => (facts ? Buffer.from(contentHash(facts), 'hex') : null))
  const content = unknownContent(rows, factHashes)
  if (content.principals.length + content.facts.length > 0) {
    await tx.query(KNOWN, [
      content.principals.map(([, { tenant }]) => tenant),
      content.principals.map(([, { hash }]) => hash),
      content.principals.map(([, { body }]) => body),
      content.facts.map(([, { tenant }]) => tenant),
      content.facts.map(([, { hash }]) => hash),
      content.facts.map(([, { body }]) => body),
    ])
    tx.afterCommit(() => {
      for (const [key] of [...content.principals, ...content.facts]) known.set(key, true)
    })
  }
  const of = <V>(pick: (row: NewRow) => V): V[] => rows.map(pick)
  const box = rows.flatMap(boxed)
  const { rows: made } = await tx.query<{ tenant_id: string; id: string }>(INSERT, [
    of(({ principal }) => principal.tenantId),
    of(({ id }) => id),
    of(({ traceId }) => traceId),
    of(({ request }) => request.topic),
    of(({ request }) => request.verb ?? null),
    of(({ ended }) => ended?.state ?? 'open'),
    of(({ us }) => us),
    of((row) => new Date(row.at)),
    of(({ request }) => JSON.stringify(request)),
    of(({ context }) => context),
    of(({ principal }) => principal.id),
    of(({ principal }) => hashOf(principal)),
    of(() => ids.next()),
    of(({ approvalId }) => approvalId),
    of(({ request }) => request.parentJobId ?? null),
    of(({ executor }) => executor.kind),
    of(({ executor }) => executor.id),
    of(({ deadline }) => at(deadline)),
    of(({ ended }) => ended?.code ?? null),
    of(({ ended }) => ended?.message ?? null),
    of(({ pool }) => pool),
    of(({ queue }) => queue?.state ?? null),
    of(({ request }) => rankOf(request)),
    of(({ queue }) => at(queue?.runAt)),
    of(({ maxAttempts }) => maxAttempts),
    of(({ timeoutMs }) => timeoutMs),
    of(({ queue }) => queue?.lease?.owner ?? null),
    of(({ queue }) => at(queue?.lease?.until)),
    of(({ queue }) => at(queue?.lease?.expiresAt)),
    of(({ queue }) => queue?.lease?.workerId ?? null),
    of(({ queue }) => queue?.lease?.account ?? null),
    of(({ decision }) => decision.decision),
    of(({ decision }) => decision.reason),
    of(({ decision }) => decision.ruleId),
    of(({ decision }) => decision.snapshot),
    of(({ decision }) => decisionBody(decision)),
    factHashes,
    of(({ jobHash }) => jobHash),
    of(({ ended }) => (ended ? wireStatus(ended.state) : null)),
    of(({ decision: { constraints } }) => (constraints ? JSON.stringify(constraints) : null)),
    box.map(({ tenantId }) => tenantId),
    box.map(({ jobId }) => jobId),
    box.map(({ id }) => id),
    box.map(({ kind }) => kind),
    box.map(({ at: when }) => when),
    box.map(({ body }) => body),
    of(({ n }) => n),
    of(({ step }) => step?.runId ?? null),
    of(({ step }) => step?.key ?? null),
  ])
  return new Set(made.map((row) => `${row.tenant_id} ${row.id}`))
}

const byKey = (a: NewRow, b: NewRow): number =>
  a.principal.tenantId < b.principal.tenantId
    ? -1
    : a.principal.tenantId > b.principal.tenantId
      ? 1
      : a.id < b.id
        ? -1
        : a.id > b.id
          ? 1
          : 0

let lastUs = 0

/** Microseconds of an instant, each given once by this process, ascending. */
export function microseconds(now: Instant): number {
  lastUs = Math.max(lastUs + 1, now * 1000)
  return lastUs
}
