import { encodeMessage } from '@wheelhouse/sdk/agent-protocol'
import { outputPath, readLines } from './spool.ts'
import type { Entry } from './spool.ts'

/** Sends one frame; false when there is no connection to send it on. Settles when the frame has left the process. */
export type Send = (frame: string) => Promise<boolean>

/**
 * Brings the output and the result of one attempt to the server, from disk: first all output after the sequence number that the server
 * names, in order, then the result. Nothing is sent before `attach`, so that after a new connection the server says where to go on.
 */
export class Delivery {
  readonly #entry: Entry
  readonly #send: Send
  #attached = false
  #offset = 0
  #afterSeq = 0
  #resultSent = false
  #running = false
  #again = false

  constructor(entry: Entry, send: Send) {
    this.#entry = entry
    this.#send = send
  }

  attach(afterSeq: number): void {
    this.#attached = true
    this.#offset = 0
    this.#afterSeq = afterSeq
    this.#resultSent = false
    this.wake()
  }

  detach(): void {
    this.#attached = false
  }

  /** Something is new on disk. */
  wake(): void {
    if (this.#running) {
      this.#again = true
      return
    }
    this.#running = true
    void this.#pump().finally(() => {
      this.#running = false
      if (this.#again) this.wake()
    })
  }

  async #pump(): Promise<void> {
    do {
      this.#again = false
      // Asked before reading: a result that is there now was written after the last output.
      const { result } = this.#entry
      const from = this.#offset
      const { lines, next } = await readLines(outputPath(this.#entry), from)
      // An attach in between has moved the offset; then these lines are not the next ones.
      if (!this.#attached || this.#offset !== from) continue
      if (lines.length > 0) {
        if (await this.#sendLines(lines, from)) {
          this.#offset = next
          this.#again = true
        }
      } else if (result && !this.#resultSent) {
        this.#resultSent = true
        if (!(await this.#send(encodeMessage({ type: 'exec:result', payload: result })))) this.#attached = false
      }
    } while (this.#again && this.#attached)
  }

  async #sendLines(lines: string[], from: number): Promise<boolean> {
    for (const line of lines) {
      if (this.#afterSeq > 0 && sequenceOf(line) <= this.#afterSeq) continue
      const sent = await this.#send(line)
      if (!sent) this.#attached = false
      if (!this.#attached || this.#offset !== from) return false
    }
    return true
  }
}

export function sequenceOf(line: string): number {
  return (JSON.parse(line) as { payload: { seq: number } }).payload.seq
}
