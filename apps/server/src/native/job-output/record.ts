import type { StateEvent } from '@wheelhouse/contract/native/job-output'
import { type Instant, iso } from '../../kernel/clock/index.ts'
import { sql, type Tx } from '../../kernel/db/index.ts'
import { type JobState, jobState, type QueueState, stateWord } from '../../kernel/jobs/index.ts'

/** Where a job is, with the rule behind its newest decision. Undefined when there is no such job. */
export async function whereIs(
  tx: Tx,
  jobId: string,
  now: Instant,
): Promise<{ state: JobState; event: StateEvent } | undefined> {
  const row = await tx.maybe<{
    recorded: string
    queue: QueueState | null
    decision: string | null
    rule: string | null
    reason: string | null
  }>(sql`
    select j.state as recorded, q.state as queue, d.decision, d.rule_id as rule, d.reason
      from jobs j
      left join job_queue q on q.tenant_id = j.tenant_id and q.id = j.id
      left join decisions d on d.tenant_id = j.tenant_id and d.job_id = j.id and d.id = j.decision_id
     where j.id = ${jobId}`)
  if (!row) return undefined
  const state = jobState(row.recorded, row.queue)
  const { decision, rule, reason } = row
  return {
    state,
    event: {
      state: stateWord('jobs', state),
      at: iso(now),
      ...(decision ? { decision } : {}),
      ...(rule ? { rule } : {}),
      ...(reason ? { reason } : {}),
    },
  }
}
