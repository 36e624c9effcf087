import type { JobRequest } from '@wheelhouse/contract/proto/cap_pb'
import type { ArtifactOptions } from './worker-store.ts'

/** What policy allows a job (jobs.md §17.2): protobuf JSON, names in lower camel case, 64-bit numbers as text. */
export type PolicyConstraints = Readonly<Record<string, unknown>>

/** A job as its handler sees it. */
export interface JobContext<Input = unknown> {
  jobId: string
  topic: string
  traceId: string
  /** The number of this claim: what is done under an older one does not count any more. */
  attempt: number
  /** The decoded value behind the job's context pointer; for API submits `{prompt, context, …}`. Null where there is none. */
  input: Input
  tenantId: string
  principalId: string
  parentJobId: string
  workflowId: string
  memoryId: string
  env: Readonly<Record<string, string>>
  labels: Readonly<Record<string, string>>
  capability: string
  riskTags: readonly string[]
  /** W3C trace context of this run, for spans of the worker's own; '' where the server hands on none. */
  traceparent: string
  constraints: PolicyConstraints | null
  redactionLevel: string
  /** Aborts when the job is cancelled, when its time is over, and when a stop does not wait any longer. */
  signal: AbortSignal
  /** Tells how far the work is, in percent, and what it does. Shown live, not kept. */
  progress(percent: number, message?: string): void
  /** Uploads a blob, bounded by what policy allows the job, and returns its pointer; it is told with the result. */
  artifact(content: Uint8Array | string, options?: ArtifactOptions): Promise<string>
  /** The value behind another pointer, such as `redis://mem:<id>:summary`. */
  read(pointer: string): Promise<unknown>
  /** Submits a job as a child of this one, on behalf of whoever asked for this one. Returns its id. Needs `job:submit`. */
  submit(topic: string, input: unknown, more?: Readonly<Record<string, unknown>>): Promise<string>
}

/** Does a job's work. What it returns is the result; what it throws fails the job with its message, and its `code` where it has one. */
// oxlint-disable-next-line typescript/no-explicit-any -- the author of a worker knows the input of a topic; nobody else can
export type JobHandler = (context: JobContext<any>) => unknown

/** Why a handler's signal aborted. */
export type Ending = 'cancelled' | 'timeout' | 'stopped'

/** Whether a subscription such as `job.slack.*` covers a topic. */
export function covers(pattern: string, topic: string): boolean {
  const asked = pattern.split('.')
  const given = topic.split('.')
  for (const [index, token] of asked.entries()) {
    if (token === '>') return given.length > index
    if (given[index] === undefined || (token !== '*' && token !== given[index])) return false
  }
  return asked.length === given.length
}

/** The limits that policy wrote into a job's environment (jobs.md §17.2 step 7). */
export function limitsOf({ env }: Pick<JobRequest, 'env'>): {
  constraints: PolicyConstraints | null
  redactionLevel: string
  maxArtifactBytes: number | undefined
} {
  const bytes = Number(env['CORDUM_MAX_ARTIFACT_BYTES'])
  const text = env['CORDUM_POLICY_CONSTRAINTS']
  return {
    constraints: text === undefined ? null : (JSON.parse(text) as PolicyConstraints),
    redactionLevel: env['CORDUM_REDACTION_LEVEL'] ?? '',
    maxArtifactBytes: Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined,
  }
}
