import type { EndEvent } from '@wheelhouse/contract/native/job-output'
import { iso, pause } from '../../kernel/clock/index.ts'
import type { EventStream } from '../../kernel/http/index.ts'
import { type Ended, isTerminal, type JobSignal, type OutputChunk, stateWord } from '../../kernel/jobs/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { whereIs } from './record.ts'

/** The record lags behind what is shown live; a chunk that is still missing after so many looks is gone. */
const LOOKS = 8
const LOOK_EVERY_MS = 250
/** A signal that was lost on its way is made up for by the record. */
const IDLE_MS = 5000
const MAX_OUTPUT_BYTES = 65_536

/**
 * Tells a job from `afterSeq` to its end: what is kept first, then live. Every chunk comes once and in order, on whichever replica it
 * was written; what the record's bound has dropped shows as a gap. Returns after the end event or when the caller is gone.
 */
export async function follow(
  { jobs, db, clock }: Pick<Kernel, 'jobs' | 'db' | 'clock'>,
  tenantId: string,
  jobId: string,
  afterSeq: number,
  stream: EventStream,
): Promise<void> {
  const heard: JobSignal[] = []
  let wake = new AbortController()
  stream.signal.addEventListener('abort', () => wake.abort(), { once: true })
  const leave = jobs.watch(tenantId, jobId, (signal) => {
    heard.push(signal)
    wake.abort()
  })
  let last = afterSeq
  // Above 0 while something may be missing: at first, for what was written just before we listened.
  let looks = 2
  /** Whether the last chunk was heard as it was written: then nothing between it and the end can have been dropped. */
  let isLive = false
  const waiting = new Map<number, OutputChunk>()

  /** Sends what follows on what was sent, and all up to `surely` even where something before it is missing. */
  async function flush(surely: number): Promise<void> {
    for (const seq of [...waiting.keys()].toSorted((a, b) => a - b)) {
      const { stream: name, chunk, at } = waiting.get(seq) as OutputChunk
      if (seq > last + 1 && seq > surely) return
      waiting.delete(seq)
      if (seq <= last) continue
      if (seq > last + 1) await stream.send({ event: 'gap', data: { after: last } })
      last = seq
      await stream.send({ event: name, id: String(seq), data: { seq, chunk, at: iso(at) } })
    }
  }

  /** Sends what the record holds; true when it was full before the job's output ended. */
  async function sendKept(): Promise<boolean> {
    const { chunks, truncated } = await jobs.output(tenantId, jobId, last)
    for (const chunk of chunks) {
      waiting.set(chunk.seq, chunk)
      isLive = false
    }
    // Chunks are stored in their order: what is missing before the last stored one will never come.
    await flush(chunks.at(-1)?.seq ?? 0)
    return truncated
  }

  /** Tells where the job is; true when it has ended. */
  async function tellState(): Promise<boolean> {
    const found = await db.tenant(tenantId, (tx) => whereIs(tx, jobId, clock.now()))
    if (!found || isTerminal(found.state)) return true
    await stream.send({ event: 'state', data: found.event })
    return false
  }

  async function take(signal: JobSignal): Promise<boolean> {
    if (signal.kind === 'output') {
      waiting.set(signal.seq, signal)
      isLive = true
    } else if (signal.kind === 'state') return tellState()
    else if (signal.kind === 'progress') {
      const { percent, message, at } = signal
      const told = { ...(percent === undefined ? {} : { percent }), ...(message === undefined ? {} : { message }) }
      await stream.send({ event: 'progress', data: { ...told, at: iso(at) } })
    }
    return signal.kind === 'ended'
  }

  try {
    let over = await tellState()
    await sendKept()
    while (!stream.signal.aborted && !over) {
      for (let signal = heard.shift(); signal; signal = heard.shift()) over = (await take(signal)) || over
      await flush(0)
      if (over || heard.length > 0) continue
      const isWhole = waiting.size === 0
      if (isWhole) looks = Math.max(0, looks - 1)
      else if ((looks += 1) > LOOKS) await flush(Infinity)
      const settled = looks === 0
      wake = new AbortController()
      // What is missing comes from the record, not from the next signal.
      const woken = await pause(settled ? IDLE_MS : LOOK_EVERY_MS, isWhole ? wake.signal : stream.signal).then(
        () => false,
        () => true,
      )
      if (woken) continue
      await sendKept()
      if (settled) over = await hasEnded()
    }
    const end = await jobs.wait(tenantId, jobId, IDLE_MS, stream.signal)
    if (!end) return
    const wasFull = await sendKept()
    await flush(Infinity)
    if (wasFull && !isLive) await stream.send({ event: 'gap', data: { after: last } })
    await stream.send({ event: 'end', data: endEvent(end) })
  } finally {
    leave()
  }

  async function hasEnded(): Promise<boolean> {
    const found = await db.tenant(tenantId, (tx) => whereIs(tx, jobId, clock.now()))
    return !found || isTerminal(found.state)
  }
}

function endEvent(end: Ended<unknown>): EndEvent {
  const { output } = end
  const small = output !== undefined && Buffer.byteLength(JSON.stringify(output)) <= MAX_OUTPUT_BYTES
  return {
    state: stateWord('jobs', end.kind),
    ...(end.kind === 'succeeded' ? {} : { code: end.code, message: end.message }),
    ...(small ? { output } : {}),
  }
}
