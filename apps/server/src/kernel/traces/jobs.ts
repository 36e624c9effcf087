import type { Instant } from '../clock/index.ts'
import { readTraceparent, spanIdOf } from './context.ts'
import type { Tracer } from './tracer.ts'

/** What the spans of a job are made of. */
export interface JobSpan {
  tenantId: string
  jobId: string
  topic: string
  /** W3C context of the request that submitted it; absent: nothing is recorded. */
  traceparent: string | undefined
}

export interface AttemptSpan extends JobSpan {
  fence: number
  attempt: number
  workerId: string | null
}

/** The spans of a job (issue: request, policy, queue, run, result), with ids that the waterfall of stored facts has too. */
export interface JobTracer {
  on: boolean
  decided(job: JobSpan, start: Instant, end: Instant, decision: { decision: string; ruleId: string }): void
  /** It waited from its submission, or from its release, until somebody took it. */
  queued(job: AttemptSpan, start: Instant, end: Instant): void
  /** It was worked on. */
  ran(job: AttemptSpan, start: Instant, end: Instant, state: string): void
  /** Its end was written. */
  recorded(job: AttemptSpan, start: Instant, end: Instant): void
  /** The whole of it, once it has ended. */
  ended(job: JobSpan, start: Instant, end: Instant, state: string): void
}

/** Ids of a job's spans. */
export const jobSpanId = (jobId: string): string => spanIdOf('job', jobId)
export const runSpanId = (jobId: string, fence: number): string => spanIdOf('run', jobId, fence)

export function jobTracer(tracer: Tracer): JobTracer {
  function record(
    job: JobSpan,
    span: { id: string; parent?: string; name: string; kind: 'internal' | 'producer' | 'consumer'; failed?: string },
    times: { start: Instant; end: Instant },
    more: Readonly<Record<string, string | number>>,
  ): void {
    const origin = tracer.on ? readTraceparent(job.traceparent) : undefined
    if (!origin) return
    tracer.record({
      ...times,
      context: { traceId: origin.traceId, spanId: span.id },
      parentSpanId: span.parent ?? origin.spanId,
      name: span.name,
      kind: span.kind,
      ...(span.failed === undefined ? {} : { failed: span.failed }),
      attributes: {
        'wheelhouse.tenant.id': job.tenantId,
        'wheelhouse.job.id': job.jobId,
        'wheelhouse.job.topic': job.topic,
        ...more,
      },
    })
  }
  const attempt = ({ fence, attempt: number, workerId }: AttemptSpan) => ({
    'wheelhouse.job.fence': fence,
    'wheelhouse.job.attempt': number,
    ...(workerId === null ? {} : { 'wheelhouse.worker.id': workerId }),
  })
  const failure = (state: string): { failed?: string } => (state === 'succeeded' ? {} : { failed: state })

  return {
    on: tracer.on,
    decided(job, start, end, { decision, ruleId }) {
      const id = spanIdOf('policy', job.jobId, start)
      const facts = { 'wheelhouse.policy.decision': decision, 'wheelhouse.policy.rule': ruleId }
      record(job, { id, parent: jobSpanId(job.jobId), name: 'policy', kind: 'internal' }, { start, end }, facts)
    },
    queued(job, start, end) {
      const id = spanIdOf('queue', job.jobId, job.fence)
      record(job, { id, parent: jobSpanId(job.jobId), name: 'queue', kind: 'producer' }, { start, end }, attempt(job))
    },
    ran(job, start, end, state) {
      const id = runSpanId(job.jobId, job.fence)
      const span = {
        id,
        parent: jobSpanId(job.jobId),
        name: `run ${job.topic}`,
        kind: 'consumer' as const,
        ...failure(state),
      }
      record(job, span, { start, end }, attempt(job))
    },
    recorded(job, start, end) {
      const id = spanIdOf('result', job.jobId, job.fence)
      const parent = runSpanId(job.jobId, job.fence)
      record(job, { id, parent, name: 'result', kind: 'internal' }, { start, end }, attempt(job))
    },
    ended(job, start, end, state) {
      const span = { id: jobSpanId(job.jobId), name: `job ${job.topic}`, kind: 'internal' as const, ...failure(state) }
      record(job, span, { start, end }, { 'wheelhouse.job.state': state })
    },
  }
}
