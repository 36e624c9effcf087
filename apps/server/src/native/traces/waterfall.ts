import { iso, type Instant } from '../../kernel/clock/index.ts'
import { jobState, stateWord } from '../../kernel/jobs/index.ts'
import { jobSpanId, readTraceparent, runSpanId, spanIdOf } from '../../kernel/traces/index.ts'
import type { ApprovalRow, AttemptRow, DecisionRow, JobRow } from './tables.ts'

interface Span {
  spanId: string
  parentSpanId: string | null
  kind: 'job' | 'policy' | 'approval' | 'queue' | 'run'
  name: string
  jobId: string
  startedAt: Instant
  endedAt: Instant | null
  failed: boolean
  attributes: Record<string, string | number | boolean>
}

export interface Stored {
  jobs: readonly JobRow[]
  decisions: readonly DecisionRow[]
  attempts: readonly AttemptRow[]
  approvals: readonly ApprovalRow[]
}

const of = <T extends { jobId: string }>(rows: readonly T[], jobId: string): T[] =>
  rows.filter((row) => row.jobId === jobId)

/** One bar each for a job, its decisions, approvals, attempts, and for the waiting between them. */
function spansOf(job: JobRow, stored: Stored, known: ReadonlySet<string>): Span[] {
  const { id: jobId, request } = job
  const spanId = jobSpanId(jobId)
  const isOver = job.state !== 'open'
  const decisions = of(stored.decisions, jobId)
  const approvals = of(stored.approvals, jobId)
  const attempts = attemptsOf(job, of(stored.attempts, jobId))
  // A child that its parent's worker submitted stands under that run; any other under the job that it names.
  const origin = readTraceparent(request.traceparent)?.spanId ?? null
  const parent = origin !== null && known.has(origin) ? origin : job.parentId === null ? null : jobSpanId(job.parentId)
  const spans: Span[] = [
    {
      spanId,
      parentSpanId: parent !== null && known.has(parent) ? parent : null,
      kind: 'job',
      name: request.topic,
      jobId,
      startedAt: job.createdAt,
      endedAt: job.endedAt,
      failed: isOver && job.state !== 'succeeded',
      attributes: { state: stateWord('jobs', jobState(job.state, job.queue)), ...present({ error: job.errorCode }) },
    },
    ...decisions.map((decision) => ({
      spanId: spanIdOf('policy', jobId, decision.at),
      parentSpanId: spanId,
      kind: 'policy' as const,
      name: decision.decision,
      jobId,
      startedAt: decision.at,
      endedAt: decision.at,
      failed: decision.decision === 'DENY',
      attributes: { decision: decision.decision, ...present({ rule: decision.ruleId, reason: decision.reason }) },
    })),
    ...approvals.map((approval) => ({
      spanId: spanIdOf('approval', approval.id),
      parentSpanId: spanId,
      kind: 'approval' as const,
      name: approval.state,
      jobId,
      startedAt: approval.createdAt,
      endedAt: approval.decidedAt ?? (approval.state === 'open' ? null : job.endedAt),
      failed: approval.state !== 'open' && approval.state !== 'approved',
      attributes: { state: approval.state },
    })),
    ...attempts.map((attempt) => ({
      spanId: runSpanId(jobId, attempt.fence),
      parentSpanId: spanId,
      kind: 'run' as const,
      name: attempt.workerId ?? request.verb ?? request.topic,
      jobId,
      startedAt: attempt.startedAt,
      endedAt: attempt.endedAt,
      failed: attempt.outcome !== 'succeeded' && attempt.outcome !== 'running',
      attributes: {
        attempt: attempt.attempt,
        outcome: attempt.outcome,
        ...present({ worker: attempt.workerId, error: attempt.errorCode }),
      },
    })),
  ]
  return [...spans, ...waits(job, approvals, attempts, spanId)]
}

interface Attempt {
  fence: number
  attempt: number
  workerId: string | null
  startedAt: Instant
  endedAt: Instant | null
  outcome: string
  errorCode: string | null
}

/** Those that failed and were followed by others, and the last, which stands in the job itself. */
function attemptsOf(job: JobRow, before: readonly AttemptRow[]): Attempt[] {
  const listed = before.flatMap((row) => (row.startedAt === null ? [] : [{ ...row, startedAt: row.startedAt }]))
  if (job.startedAt === null) return listed
  const fence = job.fence ?? (before.at(-1)?.fence ?? 0) + 1
  if (listed.some((row) => row.fence === fence)) return listed
  const last: Attempt = {
    fence,
    attempt: job.attempt,
    workerId: job.workerId,
    startedAt: job.startedAt,
    endedAt: job.endedAt,
    outcome: job.state === 'open' ? 'running' : job.state,
    errorCode: job.errorCode,
  }
  return [...listed, last]
}

/** From when it could have been taken until it was: after its submission, its approval, or the attempt before. */
function waits(
  job: JobRow,
  approvals: readonly ApprovalRow[],
  attempts: readonly Attempt[],
  parentSpanId: string,
): Span[] {
  const released = Math.max(job.createdAt, ...approvals.map(({ decidedAt }) => decidedAt ?? 0))
  const wait = (startedAt: Instant, endedAt: Instant | null, n: number): Span => ({
    spanId: spanIdOf('queue', job.id, n),
    parentSpanId,
    kind: 'queue',
    name: 'waiting',
    jobId: job.id,
    startedAt,
    endedAt,
    failed: false,
    attributes: {},
  })
  const spans = attempts.map((attempt, index) =>
    wait(Math.min(attempts[index - 1]?.endedAt ?? released, attempt.startedAt), attempt.startedAt, attempt.fence),
  )
  const isWaiting = job.state === 'open' && job.queue !== 'leased' && job.queue !== 'held'
  return isWaiting ? [...spans, wait(attempts.at(-1)?.endedAt ?? released, null, attempts.length + 1)] : spans
}

const present = (facts: Record<string, string | null>): Record<string, string> =>
  Object.fromEntries(Object.entries(facts).filter((entry): entry is [string, string] => (entry[1] ?? '') !== ''))

/** The answer of `GET …/traces/{id}/spans`. */
export function waterfall(traceId: string, stored: Stored, truncated: boolean) {
  const { jobs } = stored
  const known = new Set(jobs.map(({ id }) => jobSpanId(id)))
  for (const job of jobs)
    for (const { fence } of attemptsOf(job, of(stored.attempts, job.id))) known.add(runSpanId(job.id, fence))
  const spans = jobs
    .flatMap((job) => spansOf(job, stored, known))
    .toSorted((a, b) => a.startedAt - b.startedAt || (a.kind === 'job' ? -1 : 0) - (b.kind === 'job' ? -1 : 0))
  const ends = spans.map(({ endedAt }) => endedAt)
  const isOpen = jobs.some(({ state }) => state === 'open')
  return {
    traceId,
    w3cTraceId: readTraceparent(jobs[0]?.request.traceparent)?.traceId ?? null,
    startedAt: iso(Math.min(...spans.map(({ startedAt }) => startedAt))),
    endedAt: isOpen ? null : iso(Math.max(...ends.map((end) => end ?? 0))),
    truncated,
    jobs: jobs.map((job) => ({
      id: job.id,
      parentJobId: job.parentId,
      topic: job.request.topic,
      state: stateWord('jobs', jobState(job.state, job.queue)),
    })),
    spans: spans.map(({ startedAt, endedAt, failed, ...span }) => ({
      ...span,
      startedAt: iso(startedAt),
      endedAt: endedAt === null ? null : iso(endedAt),
      durationMs: endedAt === null ? null : Math.max(0, endedAt - startedAt),
      status: failed ? ('error' as const) : endedAt === null ? ('open' as const) : ('ok' as const),
    })),
  }
}
