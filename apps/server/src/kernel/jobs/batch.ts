import { Fault } from '@wheelhouse/contract'
import type { Logger } from 'pino'
import { isDeadlock, isUnavailable } from '../db/index.ts'

export interface BatchOptions {
  name: string
  log: Logger
  /** Most items of one write. */
  maxItems?: number
  /** How long an item waits for company while another write is under way; by default half of what a write takes, 2 to 50 ms. */
  windowMs?: number
  /** Writes at the same time. */
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
export function openBatch<T, R>(options: BatchOptions, write: (items: readonly T[]) => Promise<R[]>): Batch<T, R> {
  const { maxItems = 500, windowMs, maxInFlight = 2, log, name } = options
  /** What a write took lately. The busier the database, the larger the batches. */
  let tookMs = 10
  let waiting: Waiting<T, R>[] = []
  let inFlight = 0
  let timer: NodeJS.Timeout | undefined
  let scheduled = false
  let idlers: (() => void)[] = []

  function pump(): void {
    scheduled = false
    if (waiting.length === 0 || inFlight >= maxInFlight) return
    if (inFlight > 0 && waiting.length < maxItems) {
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
    const taken = waiting.slice(0, maxItems)
    waiting = waiting.slice(maxItems)
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
        waiting.push({ item, resolve, reject })
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
