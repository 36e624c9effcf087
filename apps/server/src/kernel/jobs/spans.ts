import type { AttemptSpan, JobSpan } from '../traces/index.ts'
import type { JobRequest } from './request.ts'

/** What the spans of a job are made of. */
export const spanOf = (tenantId: string, jobId: string, { topic, traceparent }: JobRequest): JobSpan => ({
  tenantId,
  jobId,
  topic,
  traceparent,
})

/** The same of one attempt. */
export const attemptOf = (claim: {
  tenantId: string
  id: string
  request: JobRequest
  fence: number
  attempt: number
  workerId: string | null
}): AttemptSpan => ({
  ...spanOf(claim.tenantId, claim.id, claim.request),
  fence: claim.fence,
  attempt: claim.attempt,
  workerId: claim.workerId,
})
