import type { Why } from '@wheelhouse/contract/native/why'
import { type Instant, iso } from '../clock/index.ts'
import { sql, type Tx } from '../db/index.ts'
import { findRun, type RunRow } from './run-rows.ts'
import { runWord } from './shown.ts'
import type { ChildCounts, StepError, StepStatus } from './state.ts'

type Waits = Why['waitsFor'][number]

interface OpenStep {
  key: string
  nodeId: string
  status: StepStatus
  attempts: number
  error: StepError | null
  jobId: string | null
  childRunId: string | null
  approvalId: string | null
  children: ChildCounts | null
  startedAt: Instant | null
  nextAttemptAt: Instant | null
  /** Of its job: `open` while it lives; and of its queue row. */
  jobState: string | null
  queueState: string | null
  workerId: string | null
  topic: string | null
  /** Of its approval. */
  required: number | null
  votes: number | null
  roles: string[] | null
  reason: string | null
  expiresAt: Instant | null
  /** Of its timer. */
  firesAt: Instant | null
}

const MOST_TOLD = 20

/** What a run waits for, since when and what clears it; or why it ended as it did. */
export async function whyRun(tx: Tx, id: string, now: Instant): Promise<Why | undefined> {
  const run = await findRun(tx, id)
  if (!run) return undefined
  const ended = run.completedAt !== null
  const steps = ended ? [] : await openSteps(tx, id)
  // A step with children says less than its children.
  const shown = steps.filter(
    (step) => step.children === null || !steps.some((other) => other !== step && other.nodeId === step.nodeId),
  )
  const waitsFor = shown.slice(0, MOST_TOLD).map((step) => waitsOf(run, step, now))
  const summary = ended ? endOf(run) : summaryOf(run, waitsFor, shown.length)
  const since = run.completedAt ?? Math.floor(run.updatedUs / 1000)
  const lines = [
    summary,
    ...waitsFor.map(({ text, clears }) => `- ${text}${clears === undefined ? '' : ` → ${clears}`}`),
  ]
  if (shown.length > MOST_TOLD) lines.push(`- and ${shown.length - MOST_TOLD} more steps`)
  return { id, state: runWord(run.status), summary, since: iso(since), ended, waitsFor, text: lines.join('\n') }
}

const openSteps = (tx: Tx, runId: string): Promise<OpenStep[]> =>
  tx.many<OpenStep>(sql`
    select s.key, s.node_id as "nodeId", s.status, s.attempts, s.error, s.job_id as "jobId", s.child_run_id as "childRunId",
      s.approval_id as "approvalId", s.children, s.started_at as "startedAt", s.next_attempt_at as "nextAttemptAt",
      j.state as "jobState", q.state as "queueState", q.worker_id as "workerId", j.topic, a.required, a.roles, a.reason, a.expires_at as "expiresAt",
      (select count(*)::int from approval_votes v
        where v.tenant_id = a.tenant_id and v.approval_id = a.id and v.stage = a.stage and v.vote = 'approve') as votes,
      (select min(t.fires_at) from run_timers t where t.tenant_id = s.tenant_id and t.run_id = s.run_id and t.step_key = s.key) as "firesAt"
      from run_steps s
      left join jobs j on j.tenant_id = s.tenant_id and j.id = s.job_id
      left join job_queue q on q.tenant_id = j.tenant_id and q.id = j.id
      left join approvals a on a.tenant_id = s.tenant_id and a.id = s.approval_id and a.state = 'open'
     where s.run_id = ${runId} and s.status in ('running', 'waiting', 'retrying')
     order by s.started_at nulls last, s.key limit 200`)

/** `an approval`, `2 approvals`, `1 more approval of 2`. */
function votesWords(left: number, required: number): string {
  if (required === 1) return 'an approval'
  return left === required ? `${required} approvals` : `${left} more approval${left === 1 ? '' : 's'} of ${required}`
}

function waitsOf(run: RunRow, step: OpenStep, now: Instant): Waits {
  const since = step.startedAt === null ? {} : { since: iso(step.startedAt) }
  const href = `/runs/${run.id}?step=${encodeURIComponent(step.key)}`
  if (step.required !== null) {
    const left = step.required - (step.votes ?? 0)
    const who = step.roles && step.roles.length > 0 ? ` of ${step.roles.join(' or ')}` : ''
    return {
      kind: 'approval',
      text: `${step.key} waits for ${votesWords(left, step.required)}${who}${step.reason ? `: ${step.reason}` : ''}`,
      ...since,
      ...(step.expiresAt === null ? {} : { until: iso(step.expiresAt) }),
      clears: 'approve or reject the step in the inbox',
      ...(step.approvalId === null ? {} : { ref: { kind: 'approval', id: step.approvalId, href } }),
    }
  }
  if (step.status === 'retrying') {
    const until = step.nextAttemptAt ?? step.firesAt
    return {
      kind: 'retry',
      text: `${step.key} failed (${step.error?.message ?? 'no reason given'}) and is tried again, attempt ${step.attempts + 1}`,
      ...since,
      ...(until === null ? {} : { until: iso(until) }),
      clears: 'its next attempt',
    }
  }
  if (step.jobId !== null && step.jobState === 'open') return jobWaits(step, since)
  if (step.childRunId !== null)
    return {
      kind: 'step',
      text: `${step.key} waits for the run ${step.childRunId}`,
      ...since,
      clears: 'the end of that run',
      ref: { kind: 'run', id: step.childRunId, href: `/runs/${step.childRunId}` },
    }
  if (step.children !== null) {
    const { total, succeeded, failed, begun } = step.children
    return {
      kind: 'step',
      text: `${step.key}: ${succeeded + failed} of ${total} children have ended, ${begun} have begun`,
      ...since,
      clears: 'the end of its children',
    }
  }
  return {
    kind: 'time',
    text: `${step.key} waits${step.firesAt === null ? '' : ` ${Math.max(0, Math.ceil((step.firesAt - now) / 1000))} s more`}`,
    ...since,
    ...(step.firesAt === null ? {} : { until: iso(step.firesAt) }),
    clears: 'the time that the step names',
  }
}

function jobWaits(step: OpenStep, since: { since?: string }): Waits {
  const jobId = step.jobId ?? ''
  const ref = { kind: 'job', id: jobId, href: `/jobs/${encodeURIComponent(jobId)}` }
  switch (step.queueState) {
    case 'held':
      return {
        kind: 'approval',
        text: `${step.key}: policy holds its job until somebody approves it`,
        ...since,
        clears: 'approve or reject the job in the inbox',
        ref,
      }
    case 'undecided':
      return {
        kind: 'policy',
        text: `${step.key}: policy has not let its job go yet`,
        ...since,
        clears: 'policy is asked again by itself',
        ref,
      }
    case 'leased':
      return {
        kind: 'running',
        text:
          step.workerId === null
            ? `${step.key}: its job was sent to whoever serves ${step.topic}, who has not answered yet`
            : `${step.key}: its job on ${step.topic} runs on ${step.workerId}`,
        ...since,
        clears: 'the worker’s answer, or its time limit',
        ref,
      }
    default:
      return {
        kind: 'worker',
        text: `${step.key}: its job on ${step.topic} waits for a worker`,
        ...since,
        clears: `a worker that serves ${step.topic}; the job’s own “why” says more`,
        ref,
      }
  }
}

function endOf(run: RunRow): string {
  switch (run.status) {
    case 'succeeded':
      return run.dryRun ? 'It was a dry run: nothing was executed.' : 'Every step that had to run succeeded.'
    case 'cancelled':
      return `It was cancelled: ${run.error?.message ?? 'no reason was given'}.`
    case 'timed_out':
      return run.error?.message ?? 'Its time was over.'
    default:
      return `It failed: ${run.error?.message ?? 'a step failed'}.`
  }
}

function summaryOf(run: RunRow, waits: readonly Waits[], count: number): string {
  const [first] = waits
  if (!first) return run.status === 'pending' ? 'It is about to begin.' : 'It is about to go on.'
  return count === 1 ? `${first.text}.` : `${count} steps are under way; the first: ${first.text}.`
}
