import type { Logger } from 'pino'
import type { Clock, Instant } from '../clock/index.ts'
import { type Db, sql } from '../db/index.ts'
import type { OutputChunk } from './jobs.ts'
import type { Signals } from './signals.ts'

/** Kept of one job's output; what is beyond is shown live and gone. */
const MAX_KEPT_BYTES = 1024 * 1024
const MAX_CHUNKS = 10_000
const FLUSH_MS = 200
const TRUNCATED_SEQ = 2_147_483_647

interface Row extends OutputChunk {
  tenantId: string
  jobId: string
}

/** Writes the output of one job. */
export interface OutputWriter {
  write(stream: 'stdout' | 'stderr', chunk: string): void
  /** Resolves when all that was written is stored. */
  flush(): Promise<void>
}

export interface Outputs {
  /** Continues a job's output after what a predecessor stored. */
  writer(tenantId: string, jobId: string, fresh: boolean): Promise<OutputWriter>
  read(tenantId: string, jobId: string, afterSeq: number): Promise<{ chunks: OutputChunk[]; truncated: boolean }>
  close(): Promise<void>
}

/** Output of jobs: shown live, stored in batches over all jobs, bounded. */
export function openOutputs(options: { db: Db; clock: Clock; log: Logger; signals: Signals }): Outputs {
  const { db, clock, log, signals } = options
  let pending: Row[] = []
  let writing: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined

  async function store(rows: readonly Row[]): Promise<void> {
    await db.engine((tx) =>
      tx.run(sql`
        insert into job_output (tenant_id, job_id, seq, stream, at, chunk)
        select * from unnest(${rows.map(({ tenantId }) => tenantId)}::uuid[], ${rows.map(({ jobId }) => jobId)}::text[],
          ${rows.map(({ seq }) => seq)}::int[], ${rows.map(({ stream }) => stream)}::text[], ${rows.map(({ at }) => new Date(at))}::timestamptz[],
          ${rows.map(({ chunk }) => chunk)}::text[])
        on conflict do nothing`),
    )
  }

  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const rows = pending
    pending = []
    if (rows.length > 0) {
      writing = writing.then(() =>
        // Output is a by-product: a database that is away for a moment must not fail the job.
        store(rows).catch((error: unknown) =>
          log.warn({ err: error, rows: rows.length }, 'Output could not be stored'),
        ),
      )
    }
    return writing
  }

  function push(row: Row): void {
    pending.push(row)
    timer ??= setTimeout(() => void flush(), FLUSH_MS)
  }

  return {
    async writer(tenantId, jobId, fresh) {
      const before = fresh
        ? { seq: 0, bytes: 0 }
        : await db.engine((tx) =>
            tx.one<{ seq: number; bytes: number }>(sql`
              select coalesce(max(seq) filter (where seq < ${TRUNCATED_SEQ}), 0)::int as seq, coalesce(sum(octet_length(chunk)), 0)::int as bytes
                from job_output where tenant_id = ${tenantId} and job_id = ${jobId}`),
          )
      let { seq, bytes } = before
      let full = bytes >= MAX_KEPT_BYTES
      return {
        write(stream, text) {
          const at: Instant = clock.now()
          const chunk = text.replaceAll('\0', '\uFFFD')
          const size = Buffer.byteLength(chunk)
          seq += 1
          signals.emit(tenantId, jobId, { kind: 'output', seq, stream, chunk, at })
          if (!full) push({ tenantId, jobId, seq, stream, chunk, at })
          bytes += size
          if (!full && (bytes >= MAX_KEPT_BYTES || seq >= MAX_CHUNKS)) {
            full = true
            push({ tenantId, jobId, seq: TRUNCATED_SEQ, stream, chunk: '', at })
          }
        },
        flush,
      }
    },
    async read(tenantId, jobId, afterSeq) {
      const rows = await db.tenant(tenantId, (tx) =>
        tx.many<OutputChunk>(sql`
          select seq, stream, chunk, at from job_output where job_id = ${jobId} and seq > ${afterSeq} order by seq limit ${MAX_CHUNKS + 2}`),
      )
      const chunks = rows.filter(({ seq }) => seq < TRUNCATED_SEQ)
      return { chunks, truncated: chunks.length < rows.length }
    },
    close: flush,
  }
}
