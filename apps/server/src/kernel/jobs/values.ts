import { Fault } from '@wheelhouse/contract'
import { iso, type Instant } from '../clock/index.ts'
import { at, sql, type Tx } from '../db/index.ts'
import type { JobState } from './jobs.ts'
import { wireStatus } from './state.ts'

/** What a pointer of our own names (jobs.md 27): `redis://` and the key. */
export type PointerKind = 'context' | 'result' | 'memory' | 'artifact'

const KINDS: Readonly<Record<string, PointerKind>> = {
  ctx: 'context',
  res: 'result',
  mem: 'memory',
  art: 'artifact',
}

/** Reads a pointer or a bare key; undefined for one that is not ours (`s3://…`, `https://…`). */
export function parsePointer(text: string): { key: string; kind: PointerKind; id: string } | undefined {
  const key = text.startsWith('redis://') ? text.slice('redis://'.length) : text
  const [, prefix = '', id = ''] = /^(ctx|res|mem|art):(.+)$/s.exec(key) ?? []
  const kind = KINDS[prefix]
  return kind === undefined || id === '' ? undefined : { key, kind, id }
}

/** The bytes behind a context, result or memory key; undefined when there are none. Artifacts are read by their own kernel. */
export async function readValue(tx: Tx, key: string, now: Instant): Promise<Buffer | undefined> {
  const pointer = parsePointer(key)
  if (!pointer) return undefined
  const stored = await tx.maybe<{ body: Buffer }>(
    sql`select body from job_values where key = ${pointer.key} and expires_at > ${at(now)}`,
  )
  if (stored) return stored.body
  if (pointer.kind !== 'context' && pointer.kind !== 'result') return undefined
  const column = sql.ref(pointer.kind)
  const job = await tx.maybe<EndedText>(sql`
    select ${column} as text, state, error_message as message, error_code as code, ended_at as "endedAt", result_ptr as "resultPtr"
      from jobs where id = ${pointer.id}`)
  if (!job) return undefined
  if (job.text !== null) return Buffer.from(job.text)
  return pointer.kind === 'result' ? failureDocument(pointer.id, job) : undefined
}

interface EndedText {
  text: string | null
  state: string
  message: string | null
  code: string | null
  endedAt: Instant | null
  resultPtr: string | null
}

/** jobs.md 26: what stands behind the result pointer of a job that ended without success, unless its worker left something there. */
function failureDocument(jobId: string, { state, message, code, endedAt, resultPtr }: EndedText): Buffer | undefined {
  if (state === 'open' || state === 'succeeded' || endedAt === null || resultPtr !== null) return undefined
  return Buffer.from(
    JSON.stringify({
      job_id: jobId,
      status: wireStatus(state as JobState),
      error: { message: message ?? '', ...(code === null ? {} : { code }) },
      processed_by: 'cordum-scheduler',
      completed_at: iso(endedAt),
    }),
  )
}

/** Stores a value under a result or memory key. A result belongs to a job of the tenant and, once the job has ended, stays as it is. */
export async function writeValue(tx: Tx, key: string, body: Buffer, now: Instant, lifeMs: number): Promise<void> {
  const pointer = parsePointer(key)
  if (!pointer || (pointer.kind !== 'result' && pointer.kind !== 'memory'))
    throw new Fault('VAL_SCHEMA', { key }, { message: 'unsupported pointer key (only res:* or mem:*)' })
  if (pointer.kind === 'result') {
    const job = await tx.maybe<{ state: string }>(sql`select state from jobs where id = ${pointer.id} for share`)
    if (!job) throw new Fault('JOB_NOT_FOUND')
    if (job.state !== 'open') throw new Fault('RES_CONFLICT', {}, { message: 'job already terminal' })
  }
  await tx.run(sql`
    insert into job_values (tenant_id, key, body, expires_at) values (${tx.tenantId}, ${pointer.key}, ${body}, ${at(now + lifeMs)})
    on conflict (tenant_id, key) do update set body = excluded.body, expires_at = excluded.expires_at`)
}
