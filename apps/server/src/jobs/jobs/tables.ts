import type { Instant } from '../../kernel/clock/index.ts'
import { type Statement, sql, type Tx } from '../../kernel/db/index.ts'
import type { JobRequest, JobState, QueueState } from '../../kernel/jobs/index.ts'
import type { Constraints, Decision, DecisionName, Remediation } from '../../kernel/policy/index.ts'

/** What lists show of a job. */
export interface RecordRow {
  id: string
  traceId: string
  us: number
  state: string
  queueState: QueueState | null
  request: JobRequest
  attempts: number
  createdAt: Instant
  deadline: Instant | null
  parentId: string | null
  errorMessage: string | null
  decision: DecisionName | null
  reason: string | null
  ruleId: string | null
  snapshot: string | null
}

const columns = sql`j.id, j.trace_id as "traceId", j.updated_us as us, j.state, q.state as "queueState", j.request,
  case when q.state = 'leased' then q.attempt else j.attempts end as attempts, j.created_at as "createdAt", j.deadline, j.parent_id as "parentId",
  j.error_message as "errorMessage", d.decision, d.reason, d.rule_id as "ruleId", d.snapshot`

const joined = sql`
  left join job_queue q on q.tenant_id = j.tenant_id and q.id = j.id
  left join decisions d on d.tenant_id = j.tenant_id and d.job_id = j.id and d.id = j.decision_id`

export interface JobFilter {
  states?: readonly JobState[]
  topic?: string
  team?: string
  traceId?: string
  /** Microseconds. */
  before?: number
  after?: number
  upTo?: number
}

const QUEUE_STATES: Readonly<Partial<Record<JobState, readonly QueueState[]>>> = {
  pending: ['ready', 'waiting', 'undecided', 'paused', 'blocked'],
  held: ['held'],
  running: ['leased'],
}

const TROUBLED: readonly JobState[] = ['failed', 'cancelled', 'timed_out', 'denied']

/** In so many words: a prepared statement uses an index of some states only when it names them. */
const among = (column: Statement, states: readonly string[]): Statement =>
  sql`${column} in (${sql.join(states.map((state) => sql.lit(state)))})`

/** Ended jobs by state; the troubled ones have an index of their own. */
function endedIn(states: readonly JobState[]): Statement {
  const [only] = states
  const these = states.length === 1 ? sql`j.state = ${only}` : sql`j.state = any(${[...states]}::text[])`
  if (!states.every((state) => TROUBLED.includes(state))) return these
  return sql`${these} and ${among(sql`j.state`, TROUBLED)}`
}

/** Jobs that have not ended, by what their queue rows say: of those that wait there may be a million, of the others there are few. */
function livingIn(states: readonly QueueState[]): Statement {
  const waits = states.some((state) => QUEUE_STATES.pending?.includes(state))
  if (waits) return sql`j.state = 'open' and ${among(sql`q.state`, states)}`
  return sql`j.state = 'open' and j.id = any(array(select l.id from job_queue l where ${among(sql`l.state`, states)}))`
}

/** Jobs, the most recently changed first; at most `limit`. */
export async function findJobs(tx: Tx, filter: JobFilter, limit: number): Promise<RecordRow[]> {
  const where: Statement[] = [sql`true`]
  if (filter.before !== undefined) where.push(sql`j.updated_us < ${filter.before}`)
  if (filter.after !== undefined) where.push(sql`j.updated_us >= ${filter.after}`)
  if (filter.upTo !== undefined) where.push(sql`j.updated_us <= ${filter.upTo}`)
  if (filter.topic !== undefined) where.push(sql`j.topic = ${filter.topic}`)
  if (filter.traceId !== undefined) where.push(sql`j.trace_id = ${filter.traceId}`)
  if (filter.team !== undefined) where.push(sql`j.team_id = ${filter.team}`)
  const ended = (filter.states ?? []).filter((state) => QUEUE_STATES[state] === undefined)
  const living = (filter.states ?? []).flatMap((state) => QUEUE_STATES[state] ?? [])
  if (filter.states !== undefined) where.push(living.length > 0 ? livingIn(living) : endedIn(ended))
  return tx.many<RecordRow>(sql`
    select ${columns} from jobs j ${joined} where ${sql.join(where, sql` and `)} order by j.updated_us desc limit ${limit}`)
}

/** The jobs of one trace in the order of their making; at most 1,000. */
export const findTrace = (tx: Tx, traceId: string): Promise<RecordRow[]> =>
  tx.many<RecordRow>(
    sql`select ${columns} from jobs j ${joined} where j.trace_id = ${traceId} order by j.created_at, j.id limit 1000`,
  )

/** These jobs, in no order. */
export const recordsOf = (tx: Tx, ids: readonly string[]): Promise<RecordRow[]> =>
  tx.many<RecordRow>(sql`select ${columns} from jobs j ${joined} where j.id = any(${[...ids]}::text[])`)

export interface DetailRow extends RecordRow {
  context: string | null
  result: string | null
  resultPtr: string | null
  errorCode: string | null
  workerId: string | null
  startedAt: Instant | null
  endedAt: Instant | null
  decisionBody: DecisionBody | null
  jobHash: string | null
  letterStatus: string | null
  letterReason: string | null
  letterCode: string | null
  lastState: string | null
  letterAttempts: number | null
  principalUuid: string
  onBehalfOf: string[] | null
}

export interface DecisionBody {
  source: string
  ruleDigest: string
  constraints: Constraints | null
  approval: Decision['approval']
  remediations: Remediation[]
}

export const findJob = (tx: Tx, id: string): Promise<DetailRow | undefined> =>
  tx.maybe<DetailRow>(sql`
    select ${columns}, j.context, j.result, j.result_ptr as "resultPtr", j.error_code as "errorCode",
      coalesce(j.worker_id, q.worker_id) as "workerId", coalesce(j.started_at, q.started_at) as "startedAt", j.ended_at as "endedAt",
      d.body as "decisionBody", d.job_hash as "jobHash", l.status as "letterStatus", l.reason as "letterReason", l.reason_code as "letterCode",
      l.last_state as "lastState", l.attempts as "letterAttempts", j.principal_id as "principalUuid",
      (select pr.principal -> 'onBehalfOf' from job_principals pr where pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash) as "onBehalfOf"
      from jobs j ${joined}
      left join dead_letters l on l.tenant_id = j.tenant_id and l.job_id = j.id
     where j.id = ${id}`)

export interface DecisionRow {
  at: Instant
  decision: DecisionName
  reason: string
  ruleId: string
  snapshot: string
  body: DecisionBody | null
  jobHash: string | null
  principalUuid: string
  onBehalfOf: string[] | null
}

/** Every answer of policy about a job, newest first. */
export const findDecisions = (tx: Tx, jobId: string, limit: number): Promise<DecisionRow[]> =>
  tx.many<DecisionRow>(sql`
    select d.at, d.decision, d.reason, d.rule_id as "ruleId", d.snapshot, d.body, d.job_hash as "jobHash", j.principal_id as "principalUuid",
           pr.principal -> 'onBehalfOf' as "onBehalfOf"
      from decisions d
      join jobs j on j.tenant_id = d.tenant_id and j.id = d.job_id
      left join job_principals pr on pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash
     where d.job_id = ${jobId} order by d.at desc, d.id desc limit ${limit}`)
