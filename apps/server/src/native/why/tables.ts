import type { Instant } from '../../kernel/clock/index.ts'
import { sql, type Tx } from '../../kernel/db/index.ts'
import type { JobRequest, QueueState } from '../../kernel/jobs/index.ts'
import type { Constraints, DecisionName } from '../../kernel/policy/index.ts'

export interface WhyRow {
  id: string
  recorded: string
  us: number
  createdAt: Instant
  request: JobRequest
  endedAt: Instant | null
  errorCode: string | null
  errorMessage: string | null
  queueState: QueueState | null
  pool: string | null
  priority: number | null
  n: number | null
  runAt: Instant | null
  attempt: number | null
  maxAttempts: number | null
  expiresAt: Instant | null
  startedAt: Instant | null
  deadline: Instant | null
  workerId: string | null
  account: string | null
  /** Whoever took it has spoken; of one without a worker of its own. */
  isHeard: boolean
  parkKey: string | null
  constraints: Constraints | null
  decision: DecisionName | null
  ruleId: string | null
  reason: string | null
  snapshot: string | null
}

/** Everything about one job that says where it stands. */
export const findWhy = (tx: Tx, id: string): Promise<WhyRow | undefined> =>
  tx.maybe<WhyRow>(sql`
    select j.id, j.state as recorded, j.updated_us as us, j.created_at as "createdAt", j.request, j.ended_at as "endedAt",
      j.error_code as "errorCode", j.error_message as "errorMessage", q.state as "queueState", q.pool,
      q.priority, q.n, q.run_at as "runAt", q.attempt, q.max_attempts as "maxAttempts", q.expires_at as "expiresAt",
      q.started_at as "startedAt", q.deadline, q.worker_id as "workerId", q.account, coalesce(q.heard_fence = q.fence, false) as "isHeard", q.park_key as "parkKey", q.constraints,
      d.decision, d.rule_id as "ruleId", d.reason, d.snapshot
    from jobs j
    left join job_queue q on q.tenant_id = j.tenant_id and q.id = j.id
    left join decisions d on d.tenant_id = j.tenant_id and d.job_id = j.id and d.id = j.decision_id
    where j.id = ${id}`)

/** How many stand before it in its line; counted to 1,000. */
export async function ahead(tx: Tx, { pool, priority, n }: WhyRow): Promise<number> {
  const row = await tx.one<{ n: number }>(sql`
    select count(*)::int as n from (
      select 1 from job_queue where state = 'ready' and pool = ${pool} and (priority > ${priority} or (priority = ${priority} and n < ${n}))
      limit 1000) before`)
  return row.n
}

/** Jobs of the tenant that run now. */
export const runningNow = async (tx: Tx): Promise<number> =>
  (await tx.one<{ n: number }>(sql`select count(*)::int as n from job_queue where state = 'leased'`)).n

/** Who runs under a concurrency key. */
export const holdersOf = (tx: Tx, key: string): Promise<{ id: string }[]> =>
  tx.many<{ id: string }>(sql`
    select s.job_id as id from job_slots s
      join job_queue q on q.tenant_id = s.tenant_id and q.id = s.job_id and q.state = 'leased' and q.fence = s.fence
     where s.key = ${key} order by s.job_id limit 10`)

/** The last attempt that did not end the job. */
export const lastAttempt = (
  tx: Tx,
  id: string,
): Promise<{ outcome: string; message: string; endedAt: Instant } | undefined> =>
  tx.maybe(sql`
    select outcome, error_message as message, ended_at as "endedAt" from job_attempts
     where job_id = ${id} order by fence desc limit 1`)

/** Of the one who submitted it and those behind them, who is frozen. */
export const frozenBehind = (tx: Tx, jobId: string): Promise<{ id: string; name: string }[]> =>
  tx.many<{ id: string; name: string }>(sql`
    select p.id::text as id, p.name from jobs j
      join job_principals pr on pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash
      join principals p on p.tenant_id = j.tenant_id and p.state = 'frozen'
        and (p.id = j.principal_id or coalesce(pr.principal -> 'onBehalfOf', '[]') ? p.id::text)
     where j.id = ${jobId} limit 10`)

/** Who has agreed at the present stage of an approval. */
export const votesFor = async (tx: Tx, approvalId: string, stage: number): Promise<number> =>
  (
    await tx.one<{ n: number }>(sql`
      select count(*)::int as n from approval_votes where approval_id = ${approvalId} and stage = ${stage} and vote = 'approve'`)
  ).n

/** Jobs of its way that subscribers of the topic have, whom no heartbeat names. */
export const takenByTopic = async (tx: Tx, { pool }: WhyRow): Promise<number> =>
  (
    await tx.one<{ n: number }>(
      sql`select count(*)::int as n from job_queue where state = 'leased' and pool = ${pool} and worker_id is null`,
    )
  ).n
