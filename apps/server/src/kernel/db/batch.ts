import { Fault } from '@wheelhouse/contract'
import type { Logger } from 'pino'
import { isDeadlock, isUnavailable } from './errors.ts'

export interface BatchOptions<T> {
  name: string
  log: Logger
  /** Most of one write, by `sizeOf`; an item that is larger goes alone. */
  maxItems?: number
  /** For what an item counts, where each is many rows; default: one. */
  sizeOf?(item: T): number
  /** Most that waits, by `sizeOf`; beyond it `add` refuses with SYS_UNAVAILABLE, so that a slow database costs no memory. Default: no bound. */
  maxQueued?: number
  /** How long an item waits for company while another write is under way; by default half of what a write takes, 2 to 50 ms. */
  windowMs?: number
  /** Writes at the same time; default: two (decisions D5). */
  maxInFlight?: number
}

/** Group commit: callers that come while a write is under way share the next one. */
export interface Batch<T, R> {
  /** Resolves once the item is durable. A bad item fails its own caller alone. */
  add(item: T): Promise<R>
  /** Items that wait or are being written. */
  size(): number
  /** Resolves when nothing waits and nothing is being written. */
  idle(): Promise<void>
}

interface Waiting<T, R> {
  item: T
  resolve(result: R): void
  reject(error: unknown): void
}

/**
 * Collects items up to the window or `maxItems`, whichever is first; a lone item is written at once. `write` stores all items in one
 * transaction and returns their results in the same order. What fails is tried in halves until the bad item stands alone; a deadlock
 * is tried once more as it is.
 */
export function openBatch<T, R>(options: BatchOptions<T>, write: (items: readonly T[]) => Promise<R[]>): Batch<T, R> {
  const { maxItems = 500, sizeOf = () => 1, maxQueued = Infinity, windowMs, maxInFlight = 2, log, name } = options
  /** What a write took lately. The busier the database, the larger the batches. */
  let tookMs = 10
  let waiting: Waiting<T, R>[] = []
  /** What waits, by its size. */
  let queued = 0
  let inFlight = 0
  let timer: NodeJS.Timeout | undefined
  let scheduled = false
  let idlers: (() => void)[] = []

  function pump(): void {
    scheduled = false
    if (waiting.length === 0 || inFlight >= maxInFlight) return
    if (inFlight > 0 && queued < maxItems) {
      timer ??= setTimeout(onWindow, windowMs ?? Math.min(50, Math.max(2, tookMs / 2)))
      return
    }
    start()
  }

  function onWindow(): void {
    timer = undefined
    if (waiting.length > 0 && inFlight < maxInFlight) start()
  }

  function start(): void {
    clearTimeout(timer)
    timer = undefined
    const taken = take()
    inFlight += 1
    const began = performance.now()
    void settle(taken).finally(() => {
      inFlight -= 1
      tookMs += (performance.now() - began - tookMs) / 4
      if (waiting.length > 0) start()
      else if (inFlight === 0) {
        for (const run of idlers) run()
        idlers = []
      }
    })
  }

  function take(): Waiting<T, R>[] {
    let n = 0
    let size = 0
    for (const { item } of waiting) {
      const more = sizeOf(item)
      if (n > 0 && size + more > maxItems) break
      size += more
      n += 1
    }
    const taken = waiting.slice(0, n)
    waiting = waiting.slice(n)
    queued -= size
    return taken
  }

  async function settle(taken: readonly Waiting<T, R>[], again = true): Promise<void> {
    let results: R[]
    try {
      results = await write(taken.map(({ item }) => item))
    } catch (error) {
      const [only] = taken
      if (isAway(error) || (taken.length === 1 && only !== undefined && !(again && isDeadlock(error)))) {
        for (const { reject } of taken) reject(error)
        return
      }
      if (again && isDeadlock(error)) return settle(taken, false)
      log.warn(
        { err: error, items: taken.length, batch: name },
        'A batch could not be written whole; it is tried in halves',
      )
      const half = Math.ceil(taken.length / 2)
      await settle(taken.slice(0, half))
      await settle(taken.slice(half))
      return
    }
    for (const [index, { resolve, reject }] of taken.entries()) {
      const result = results[index]
      if (result === undefined) reject(new Error(`Batch ${name} returned no result for an item`))
      else resolve(result)
    }
  }

  return {
    add: (item) =>
      new Promise<R>((resolve, reject) => {
        const size = sizeOf(item)
        if (queued + size > maxQueued)
          return reject(new Fault('SYS_UNAVAILABLE', { part: 'database' }, { retryAfterMs: 1000 }))
        waiting.push({ item, resolve, reject })
        queued += size
        if (scheduled) return
        scheduled = true
        // One turn of the loop, so that requests read in the same turn share a write.
        setImmediate(pump)
      }),
    size: () => waiting.length + inFlight,
    idle: () =>
      waiting.length === 0 && inFlight === 0 ? Promise.resolve() : new Promise((resolve) => idlers.push(resolve)),
  }
}

/** Trying in halves would only ask a database that is away again and again. */
const isAway = (error: unknown): boolean =>
  isUnavailable(error) || (error instanceof Fault && error.code === 'SYS_UNAVAILABLE')
