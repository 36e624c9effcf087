import { Fault } from '@wheelhouse/contract'
import { isUnavailable } from './errors.ts'

export interface BatchOptions<T> {
  /** Most items of one write. */
  maxItems: number
  /** How long items wait for company while another write is under way. */
  maxWaitMs: number
  /** Most items that wait; beyond it `add` refuses with SYS_UNAVAILABLE, so that a slow database costs memory never. */
  maxQueued: number
  /** Writes a batch; one transaction. */
  write(items: readonly T[]): Promise<void>
}

/** Collects what many callers want written into few statements. */
export interface Batch<T> {
  /** Resolves when these items are committed, together in one write; rejects with what kept them from it. */
  add(items: readonly T[]): Promise<void>
  /** Writes what waits, then refuses more. */
  close(): Promise<void>
}

interface Entry<T> {
  items: readonly T[]
  resolve(): void
  reject(error: unknown): void
}

/** At most two writes are in flight (decisions D5). */
const IN_FLIGHT = 2

export function openBatch<T>({ maxItems, maxWaitMs, maxQueued, write }: BatchOptions<T>): Batch<T> {
  const waiting: Entry<T>[] = []
  const running = new Set<Promise<void>>()
  let queued = 0
  let timer: NodeJS.Timeout | undefined
  let closed = false

  function take(): Entry<T>[] {
    const taken: Entry<T>[] = []
    let size = 0
    while (waiting[0] && (taken.length === 0 || size + waiting[0].items.length <= maxItems)) {
      const entry = waiting.shift() as Entry<T>
      taken.push(entry)
      size += entry.items.length
    }
    queued -= size
    return taken
  }

  async function settle(entries: readonly Entry<T>[]): Promise<void> {
    try {
      await write(entries.flatMap(({ items }) => items))
      for (const { resolve } of entries) resolve()
    } catch (error) {
      // What the database refuses is refused for its own caller alone.
      if (entries.length > 1 && !isUnavailable(error)) for (const entry of entries) await settle([entry])
      else for (const { reject } of entries) reject(error)
    }
  }

  function start(): void {
    clearTimeout(timer)
    timer = undefined
    while (waiting.length > 0 && running.size < IN_FLIGHT) {
      const done = settle(take()).finally(() => {
        running.delete(done)
        start()
      })
      running.add(done)
    }
  }

  return {
    add(items) {
      if (items.length === 0) return Promise.resolve()
      if (closed) return Promise.reject(new Fault('SYS_SHUTTING_DOWN'))
      if (queued + items.length > maxQueued)
        return Promise.reject(new Fault('SYS_UNAVAILABLE', { part: 'database' }, { retryAfterMs: 1000 }))
      queued += items.length
      return new Promise((resolve, reject) => {
        waiting.push({ items, resolve, reject })
        if (queued >= maxItems) start()
        // A lone caller waits for nobody: only the requests read in the same turn of the loop join it.
        else if (running.size === 0) setImmediate(start)
        else timer ??= setTimeout(start, maxWaitMs)
      })
    },
    async close() {
      closed = true
      start()
      while (running.size > 0) await Promise.all(running)
    },
  }
}
