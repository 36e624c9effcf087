import type { Instant } from '../../kernel/clock/index.ts'
import { sql, type Tx } from '../../kernel/db/index.ts'
import type { JobRequest, QueueState } from '../../kernel/jobs/index.ts'

export interface JobRow {
  id: string
  parentId: string | null
  state: string
  queue: QueueState | null
  request: JobRequest
  createdAt: Instant
  startedAt: Instant | null
  endedAt: Instant | null
  workerId: string | null
  /** Of the running claim, or of the one that ended it. */
  fence: number | null
  attempt: number
  errorCode: string | null
}

export interface DecisionRow {
  jobId: string
  id: string
  at: Instant
  decision: string
  ruleId: string
  reason: string
}

export interface AttemptRow {
  jobId: string
  fence: number
  attempt: number
  workerId: string | null
  startedAt: Instant | null
  endedAt: Instant
  outcome: string
  errorCode: string
}

export interface ApprovalRow {
  jobId: string
  id: string
  state: string
  createdAt: Instant
  decidedAt: Instant | null
}

/** Jobs of one trace that are shown. */
export const MOST_JOBS = 200

/** The jobs of a trace, in the order of their making; one more than are shown, when there are more. */
export const jobsOf = (tx: Tx, traceId: string): Promise<JobRow[]> =>
  tx.many<JobRow>(sql`
    select j.id, j.parent_id as "parentId", j.state, q.state as queue, j.request, j.created_at as "createdAt",
           coalesce(q.started_at, j.started_at) as "startedAt", j.ended_at as "endedAt", coalesce(q.worker_id, j.worker_id) as "workerId",
           q.fence, coalesce(q.attempt, j.attempts) as attempt, j.error_code as "errorCode"
      from jobs j left join job_queue q on q.tenant_id = j.tenant_id and q.id = j.id
     where j.trace_id = ${traceId} order by j.created_at, j.id limit ${MOST_JOBS + 1}`)

/** What else is stored of these jobs, each oldest first. */
export async function partsOf(tx: Tx, jobIds: readonly string[]) {
  const ids = [...jobIds]
  const decisions = await tx.many<DecisionRow>(sql`
    select job_id as "jobId", id, at, decision, rule_id as "ruleId", reason from decisions
     where job_id = any(${ids}::text[]) order by at, id limit 2000`)
  const attempts = await tx.many<AttemptRow>(sql`
    select job_id as "jobId", fence, attempt, worker_id as "workerId", started_at as "startedAt", ended_at as "endedAt", outcome,
           error_code as "errorCode"
      from job_attempts where job_id = any(${ids}::text[]) order by fence limit 2000`)
  const approvals = await tx.many<ApprovalRow>(sql`
    select ref_id as "jobId", id, state, created_at as "createdAt", decided_at as "decidedAt" from approvals
     where kind = 'job' and ref_id = any(${ids}::text[]) order by created_at limit 2000`)
  return { decisions, attempts, approvals }
}
