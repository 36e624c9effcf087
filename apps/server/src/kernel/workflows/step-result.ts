import type { Artifacts } from '../artifacts/index.ts'
import type { Instant } from '../clock/index.ts'
import { at, jsonb, sql, storable, type Tx } from '../db/index.ts'
import { parsePointer, readValue } from '../jobs/index.ts'
import type { RunEvent } from './state.ts'

/** Results up to this size stand in the run itself (jobs.md 21.5); larger ones are pointed at. */
const INLINE_BYTES = 256 * 1024

interface EndedJob {
  id: string
  state: string
  result: string | null
  resultPtr: string | null
  code: string | null
  message: string | null
  /** What its worker stored under the job's own key. */
  stored: Buffer | null
}

type JobEnded = Extract<RunEvent, { kind: 'job-ended' }>

/** Deeper than expressions take, and than may be walked safely: such a result is text. */
const MAX_DEPTH = 100

/** The deepest nesting of brackets outside strings. */
function depthOf(json: string): number {
  let depth = 0
  let most = 0
  let quoted = false
  for (let at = 0; at < json.length; at++) {
    const letter = json[at]
    if (quoted) {
      if (letter === '\\') at++
      else if (letter === '"') quoted = false
    } else if (letter === '"') quoted = true
    else if (letter === '[' || letter === '{') most = Math.max(most, ++depth)
    else if (letter === ']' || letter === '}') depth--
  }
  return most
}

/** A result as the run keeps it: JSON as its value, without what no row can hold; all else as text. */
function readable(text: string): unknown {
  const plain = storable(text)
  if (depthOf(plain) > MAX_DEPTH) return plain
  try {
    const value = JSON.parse(plain) as unknown
    return /\\u(?:0000|[dD][89a-fA-F])/.test(plain) ? (JSON.parse(jsonb(value)) as unknown) : value
  } catch {
    return plain
  }
}

/** What a worker left behind its pointer, if that is ours and small enough; undefined otherwise. */
async function outputOf(tx: Tx, artifacts: Artifacts, job: EndedJob, now: Instant): Promise<string | undefined> {
  if (job.result !== null) return job.result
  if (job.stored !== null) return job.stored.toString()
  // What lies under the job's own key was read with it.
  const pointer =
    job.resultPtr === null || job.resultPtr === `redis://res:${job.id}` ? undefined : parsePointer(job.resultPtr)
  if (!pointer) return undefined
  if (pointer.kind !== 'artifact') return (await readValue(tx, pointer.key, now))?.toString()
  const artifact = await artifacts.find(tx, pointer.id)
  if (!artifact || artifact.sizeBytes > INLINE_BYTES) return undefined
  return (await artifacts.content(tx.tenantId, artifact)).toString()
}

/** How the named jobs ended, in the words of the engine; a job that has not ended is left out. */
export async function jobEnds(
  tx: Tx,
  artifacts: Artifacts,
  told: readonly { step: string; jobId: string }[],
  now: Instant,
): Promise<JobEnded[]> {
  if (told.length === 0) return []
  const ids = told.map(({ jobId }) => jobId)
  // Each by its key, whatever the planner thinks of the table: with `limit` it may not turn them into one look at all jobs.
  const jobs = await tx.many<EndedJob>(sql`
    select j.*, v.body as stored from unnest(${ids}::text[]) as told (id)
      cross join lateral (
        select id, state, result, result_ptr as "resultPtr", error_code as code, error_message as message
          from jobs where tenant_id = ${tx.tenantId} and id = told.id and state <> 'open' limit 1) j
      left join lateral (
        select body from job_values where tenant_id = ${tx.tenantId} and key = 'res:' || j.id and expires_at > ${at(now)}
          and coalesce(j."resultPtr", 'redis://res:' || j.id) = 'redis://res:' || j.id limit 1) v on true`)
  const byId = new Map(jobs.map((job) => [job.id, job]))
  const events: JobEnded[] = []
  for (const { step, jobId } of told) {
    const job = byId.get(jobId)
    if (!job) continue
    if (job.state !== 'succeeded') {
      const kind = job.state as 'failed' | 'timed_out' | 'cancelled' | 'denied'
      const code = job.code ?? ''
      const message = job.message !== null && job.message !== '' ? job.message : code === '' ? `the job ${kind}` : code
      events.push({ kind: 'job-ended', step, jobId, end: { kind, code, message } })
      continue
    }
    const text = await outputOf(tx, artifacts, job, now)
    const inline = text !== undefined && Buffer.byteLength(text) <= INLINE_BYTES
    events.push({
      kind: 'job-ended',
      step,
      jobId,
      end: {
        kind: 'succeeded',
        ...(job.resultPtr !== null || text !== undefined ? { resultPtr: job.resultPtr ?? `redis://res:${jobId}` } : {}),
        ...(inline ? { output: readable(text) } : {}),
      },
    })
  }
  return events
}
