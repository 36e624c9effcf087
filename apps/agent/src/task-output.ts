import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { CHUNK_BYTES, encodeMessage } from '@wheelhouse/sdk/agent-protocol'
import type { AgentPayload } from '@wheelhouse/sdk/agent-protocol'
import { messageOf } from './log.ts'
import type { Log } from './log.ts'
import { outputPath, readLines } from './spool.ts'
import type { Entry } from './spool.ts'

type Bytes = Record<'stdout' | 'stderr', number>

/** The output of an attempt on disk, as the very frames that go to the server, one a line; at most `limit` bytes of it are kept. */
export class TaskOutput {
  /** What the process wrote, also beyond the limit. */
  readonly bytes: Bytes = { stdout: 0, stderr: 0 }
  lastSeq = 0
  readonly #entry: Entry
  readonly #fd: number
  readonly #log: Log
  #left: number

  constructor(entry: Entry, limit: number, log: Log) {
    this.#entry = entry
    this.#left = limit
    this.#log = log
    this.#fd = openSync(outputPath(entry), 'a', 0o600)
  }

  get truncated(): boolean {
    return this.bytes.stdout + this.bytes.stderr > this.#kept
  }
  #kept = 0

  /** Keeps a piece of output. When the disk refuses, this and all later output counts as cut off; the process goes on. */
  write(stream: keyof Bytes, data: Buffer): void {
    this.bytes[stream] += data.length
    const part = data.subarray(0, this.#left)
    const { task_id, attempt } = this.#entry.record
    try {
      for (let from = 0; from < part.length; from += CHUNK_BYTES) {
        const chunk = part.subarray(from, from + CHUNK_BYTES)
        const seq = this.lastSeq + 1
        const payload = { task_id, attempt, stream, seq, data: chunk.toString('base64') }
        this.#append(encodeMessage({ type: 'exec:output', payload }))
        this.lastSeq = seq
        this.#left -= chunk.length
        this.#kept += chunk.length
      }
    } catch (error) {
      this.#left = 0
      this.#log.error('cannot store output', { task: task_id, error: messageOf(error) })
    }
  }

  /** No more output: what was written is on disk when this returns, so that a stored result never names output that is gone. */
  close(): void {
    try {
      fsyncSync(this.#fd)
    } catch (error) {
      this.#log.error('cannot store output', { task: this.#entry.record.task_id, error: messageOf(error) })
    }
    closeSync(this.#fd)
  }

  #append(frame: string): void {
    const line = Buffer.from(`${frame}\n`)
    for (let written = 0; written < line.length;) written += writeSync(this.#fd, line, written)
  }
}

/** What an attempt that was cut off had written. */
export async function measureOutput(entry: Entry): Promise<{ bytes: Bytes; lastSeq: number }> {
  const bytes = { stdout: 0, stderr: 0 }
  let lastSeq = 0
  for (let offset = 0; ;) {
    const { lines, next } = await readLines(outputPath(entry), offset)
    if (lines.length === 0) return { bytes, lastSeq }
    for (const line of lines) {
      const { payload } = JSON.parse(line) as { payload: AgentPayload<'exec:output'> }
      bytes[payload.stream] += Buffer.byteLength(payload.data, 'base64')
      lastSeq = payload.seq
    }
    offset = next
  }
}
