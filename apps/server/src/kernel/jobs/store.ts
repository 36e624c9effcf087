import { LRUCache } from 'lru-cache'
import { ids, type Instant } from '../clock/index.ts'
import { hexes, instants, jsonb, texts, type Tx, words } from '../db/index.ts'
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
  decisionId: string
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
const principalHashes = new WeakMap<Principal, string>()

/** Of the rights and the name, without what differs between two uses of one credential. */
function hashOf(principal: Principal): string {
  const cached = principalHashes.get(principal)
  if (cached !== undefined) return cached
  const hash = contentHash(principal)
  principalHashes.set(principal, hash)
  return hash
}

/** What a decision says beyond its own columns; null when nothing. */
function decisionBody({ source, ruleDigest, constraints, approval, remediations }: Decision): string | null {
  if (source === '' && !constraints && !approval && remediations.length === 0) return null
  return jsonb({ source, ruleDigest, constraints, approval, remediations })
}

/** The event and the audit row of a submission. */
function boxed(row: NewRow): { event: string; audit: string } {
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
  return { event: jsonb(event), audit: jsonb(audit) }
}

/** A row with what is worked out from it. */
interface Written {
  row: NewRow
  factsHash: string | null
  event: string
  audit: string
}

type Column = readonly [name: string, type: string, encode: (written: readonly Written[]) => unknown]

const word =
  (pick: (row: NewRow) => string | number | null | undefined) =>
  (written: readonly Written[]): string =>
    words(written.map(({ row }) => pick(row) ?? null))
const instant =
  (pick: (row: NewRow) => Instant | null | undefined) =>
  (written: readonly Written[]): string =>
    instants(written.map(({ row }) => pick(row) ?? null))
const text =
  (pick: (row: NewRow) => string | null | undefined) =>
  (written: readonly Written[]): Buffer =>
    texts(written.map(({ row }) => pick(row) ?? null))

/** What the statement gets of each job, one array a column. */
const COLUMNS: readonly Column[] = [
  ['tenant_id', 'uuid', word(({ principal }) => principal.tenantId)],
  ['id', 'text', word(({ id }) => id)],
  ['trace_id', 'text', word(({ traceId }) => traceId)],
  ['topic', 'text', word(({ request }) => request.topic)],
  ['verb', 'text', word(({ request }) => request.verb)],
  ['state', 'text', word(({ ended }) => ended?.state ?? 'open')],
  ['us', 'bigint', word(({ us }) => us)],
  ['at', 'timestamptz', instant((row) => row.at)],
  ['request', 'text', text(({ request }) => jsonb(request))],
  ['context', 'text', text(({ context }) => context)],
  ['principal_id', 'uuid', word(({ principal }) => principal.id)],
  ['principal_hash', 'bytea', (written) => hexes(written.map(({ row }) => hashOf(row.principal)))],
  ['decision_id', 'uuid', word(({ decisionId }) => decisionId)],
  ['approval_id', 'uuid', word(({ approvalId }) => approvalId)],
  ['parent_id', 'text', word(({ request }) => request.parentJobId)],
  ['executor_kind', 'text', word(({ executor }) => executor.kind)],
  ['executor_id', 'text', word(({ executor }) => executor.id)],
  ['deadline', 'timestamptz', instant(({ deadline }) => deadline)],
  ['error_code', 'text', word(({ ended }) => ended?.code)],
  ['error_message', 'text', text(({ ended }) => ended?.message)],
  ['run_id', 'text', word(({ step }) => step?.runId)],
  ['step_key', 'text', word(({ step }) => step?.key)],
  ['pool', 'text', word(({ pool }) => pool)],
  ['queue_state', 'text', word(({ queue }) => (queue?.lease ? 'leased' : queue?.state))],
  ['priority', 'smallint', word(({ request }) => rankOf(request))],
  ['n', 'bigint', word(({ n }) => n)],
  ['run_at', 'timestamptz', instant(({ queue }) => queue?.runAt)],
  ['max_attempts', 'int', word(({ maxAttempts }) => maxAttempts)],
  ['timeout_ms', 'bigint', word(({ timeoutMs }) => timeoutMs)],
  ['lease_owner', 'bigint', word(({ queue }) => queue?.lease?.owner)],
  ['lease_until', 'timestamptz', instant(({ queue }) => queue?.lease?.until)],
  ['expires_at', 'timestamptz', instant(({ queue }) => queue?.lease?.expiresAt)],
  ['worker_id', 'text', word(({ queue }) => queue?.lease?.workerId)],
  ['account', 'text', word(({ queue }) => queue?.lease?.account)],
  ['constraints', 'text', text(({ decision: { constraints } }) => (constraints ? JSON.stringify(constraints) : null))],
  ['decision', 'text', word(({ decision }) => decision.decision)],
  ['reason', 'text', text(({ decision }) => decision.reason)],
  ['rule_id', 'text', word(({ decision }) => decision.ruleId)],
  ['snapshot', 'text', word(({ decision }) => decision.snapshot)],
  ['decision_body', 'text', text(({ decision }) => decisionBody(decision))],
  ['facts_hash', 'bytea', (written) => hexes(written.map(({ factsHash }) => factsHash))],
  ['job_hash', 'text', word(({ jobHash }) => jobHash)],
  ['status', 'text', word(({ ended }) => (ended ? wireStatus(ended.state) : null))],
  ['event_id', 'uuid', word(() => ids.next())],
  ['event', 'text', (written) => texts(written.map(({ event }) => event))],
  ['audit_id', 'uuid', word(() => ids.next())],
  ['audit', 'text', (written) => texts(written.map(({ audit }) => audit))],
]

// A hashed look-up. As a join it would be a nested loop, since the planner takes every array for ten elements.
const IS_NEW = 'coalesce((i.tenant_id, i.id) in (select m.tenant_id, m.id from made m), false)'

const INSERT = `
with input as (
  select * from unnest(${COLUMNS.map(([, type], index) => `$${index + 1}::${type}[]`).join(', ')})
  as i(${COLUMNS.map(([name]) => name).join(', ')})
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
    case when lease_owner is null then 0 else 1 end, lease_owner, lease_until, expires_at, case when lease_owner is null then null else at end,
    worker_id, account, constraints::jsonb, topic, principal_id
  from input i where ${IS_NEW} and queue_state is not null
), decided as (
  insert into decisions (tenant_id, job_id, id, at, decision, reason, rule_id, snapshot, body, facts_hash, job_hash)
  select i.tenant_id, i.id, decision_id, at, decision, reason, rule_id, snapshot, decision_body::jsonb, facts_hash, job_hash
  from input i where ${IS_NEW}
), dead as (
  insert into dead_letters (tenant_id, job_id, topic, status, reason, reason_code, last_state, attempts, created_at, us)
  select i.tenant_id, i.id, topic, status, error_message, error_code, 'PENDING', 0, at, us
  from input i where ${IS_NEW} and state <> 'open'
  on conflict do nothing
), boxed as (
  insert into outbox (tenant_id, id, kind, at, body)
  select i.tenant_id, b.id, b.kind, i.at, b.body::jsonb
  from input i
  cross join lateral (values (i.event_id, 'event', i.event), (i.audit_id, 'audit', i.audit)) as b(id, kind, body)
  where ${IS_NEW}
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
function unknownContent(written: readonly Written[]) {
  const principals = new Map<string, { tenant: string; hash: string; body: string }>()
  const facts = new Map<string, { tenant: string; hash: string; body: string }>()
  for (const { row, factsHash } of written) {
    const tenant = row.principal.tenantId
    const hash = hashOf(row.principal)
    const key = `p ${tenant} ${hash}`
    if (!known.has(key) && !principals.has(key))
      principals.set(key, { tenant, hash, body: JSON.stringify(row.principal) })
    if (factsHash === null) continue
    const factKey = `f ${tenant} ${factsHash}`
    if (!known.has(factKey) && !facts.has(factKey))
      facts.set(factKey, { tenant, hash: factsHash, body: jsonb(row.facts) })
  }
  const sorted = <V>(map: Map<string, V>): [string, V][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1))
  return { principals: sorted(principals), facts: sorted(facts) }
}

/** What writes: a transaction, or statements that commit by themselves. */
export type Writer = Pick<Tx, 'query' | 'afterCommit'>

/**
 * Records jobs with their decisions, queue rows, events and audit rows: one statement for all of them, in the order of their keys.
 * Content that is shared by hash goes before, and may stay without its jobs. Returns the ids that were new, as `<tenant> <id>`; a known
 * id changes nothing.
 */
export async function insertJobs(writer: Writer, given: readonly NewRow[]): Promise<Set<string>> {
  const rows = given.length === 1 ? given : given.toSorted(byKey)
  const written = rows.map((row): Written => ({
    row,
    factsHash: row.facts ? contentHash(row.facts) : null,
    ...boxed(row),
  }))
  const { principals, facts } = unknownContent(written)
  if (principals.length + facts.length > 0) {
    await writer.query(KNOWN, [
      words(principals.map(([, { tenant }]) => tenant)),
      hexes(principals.map(([, { hash }]) => hash)),
      texts(principals.map(([, { body }]) => body)),
      words(facts.map(([, { tenant }]) => tenant)),
      hexes(facts.map(([, { hash }]) => hash)),
      texts(facts.map(([, { body }]) => body)),
    ])
    writer.afterCommit(() => {
      for (const [key] of [...principals, ...facts]) known.set(key, true)
    })
  }
  const { rows: made } = await writer.query<{ tenant_id: string; id: string }>(
    INSERT,
    COLUMNS.map(([, , encode]) => encode(written)),
  )
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
