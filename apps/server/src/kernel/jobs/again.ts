import { createHash, randomBytes } from 'node:crypto'
import { Fault } from '@wheelhouse/contract'
import { type Db, sql } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'
import type { Submitted } from './jobs.ts'
import { contextPointer, type JobRequest } from './request.ts'
import type { NewJob } from './prepare.ts'

export interface Again {
  as: 'retry' | 'replay'
  /** The same key never submits twice: a repetition after a crash gives the first job. */
  key: string
  traceId: string
  /** Added to the clone's labels; none of them places it. */
  labels: Readonly<Record<string, string>>
}

/** Labels that belong to the job as it was, not to its clone. */
const passing = (name: string): boolean => name.toLowerCase().startsWith('approval_') || name === 'cordum.bus_msg_id'

/** `<job>-retry-<8 hex>` (jobs.md 26); where that is too long, after the job that was retried first. */
function idOf(jobId: string, as: Again['as']): string {
  const suffix = `-${as}-${randomBytes(4).toString('hex')}`
  const base = jobId.length + suffix.length <= 128 ? jobId : jobId.replace(/(-(retry|replay)-[0-9a-f]{8})+$/, '')
  return `${base.slice(0, 128 - suffix.length)}${suffix}`
}

/** The stored request as a new one: everything of it counts again, but for what an approval or an idempotency key left there. */
function clone(request: JobRequest, from: string, id: string, { as, labels: added }: Again, own: boolean): JobRequest {
  const kept = Object.fromEntries(Object.entries(request.labels ?? {}).filter(([name]) => !passing(name)))
  const labels = { ...kept, ...added }
  const { idempotencyKey: _key, ...meta } = request.meta ?? {}
  const { verb: _verb, contextPtr, ...rest } = request
  return {
    ...rest,
    ...(own ? { contextPtr: contextPointer(id) } : contextPtr === undefined ? {} : { contextPtr }),
    env: { ...request.env, [`${as}_of_job`]: from },
    labels,
    meta: { ...meta, labels: { ...meta.labels, ...added } },
  }
}

/**
 * Submits a stored job once more as it was, under a new id and in the name of whoever asks; policy decides anew (jobs.md 26 with its fix).
 * Throws JOB_NOT_FOUND when its record is gone, RES_CONFLICT while it has not ended, and whatever a submission throws.
 */
export async function submitAgain(
  db: Db,
  submit: (principal: Principal, job: NewJob) => Promise<Submitted>,
  principal: Principal,
  jobId: string,
  again: Again,
): Promise<Submitted> {
  const job = await db.tenant(principal.tenantId, (tx) =>
    tx.maybe<{ state: string; request: JobRequest; context: string | null; verb: string | null }>(
      sql`select state, request, context, verb from jobs where id = ${jobId}`,
    ),
  )
  if (!job) throw new Fault('JOB_NOT_FOUND', { id: jobId })
  if (job.state === 'open') throw new Fault('RES_CONFLICT', { id: jobId }, { message: 'the job has not ended' })
  const id = idOf(jobId, again.as)
  // A public submit wraps its input in a document; a verb's stored input is bare.
  const context =
    job.verb === null || job.context === null
      ? job.context
      : JSON.stringify({ prompt: '', context: JSON.parse(job.context) as unknown })
  return submit(principal, {
    jobId: id,
    traceId: again.traceId,
    ownParent: true,
    request: clone(job.request, jobId, id, again, job.context !== null),
    context,
    key: again.key,
    digest: createHash('sha256').update(again.key).digest(),
  })
}
