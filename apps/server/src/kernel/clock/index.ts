import { randomFillSync, randomUUID } from 'node:crypto'
import { v7 } from 'uuid'

/** A point in time: integer milliseconds UTC (decisions D1). */
export type Instant = number

/** Where time comes from, so that tests move it instead of sleeping. */
export interface Clock {
  now(): Instant
}

export const systemClock: Clock = { now: () => Date.now() }

/** A clock that a test holds in its hand. */
export function testClock(start: Instant = Date.now()): Clock & { advance(ms: number): void } {
  let current = start
  return {
    now: () => current,
    advance(ms) {
      current += ms
    },
  }
}

let made = 0

/** Time and count of the last id: 12 bits of count a millisecond, and when those are used up the time runs ahead (RFC 9562, 6.2). */
let lastMs = 0
let lastCount = 0
let stamp = ''

/** An id a microsecond or less: the random part comes from Node's own store of random bytes, the time is spelled once a millisecond. */
function next(): string {
  const now = Date.now()
  const random = randomUUID()
  if (now > lastMs || lastCount === 0xfff) {
    lastMs = Math.max(now, lastMs + 1)
    // A random beginning, so that what replicas make in the same millisecond does not interleave by count.
    lastCount = Number.parseInt(random.slice(0, 2), 16)
    const hex = lastMs.toString(16).padStart(12, '0')
    stamp = `${hex.slice(0, 8)}-${hex.slice(8)}-7`
  } else lastCount += 1
  return stamp + (lastCount + 0x1000).toString(16).slice(1) + random.slice(18)
}

const pool = new Uint8Array(16 * 256)
let used = pool.length

/** 16 random bytes; asking the system for each costs microseconds. */
function randomBytes16(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += 16
  return pool.subarray(used - 16, used)
}

/** Ids of ours: UUIDv7, lower case, in the order of their making within one process. */
export const ids = {
  next,
  /** One whose time is `at`, so that the id finds the day of its row (decisions D4); of equal times the later made is the greater. */
  at: (at: Instant): string => v7({ msecs: at, seq: (made = (made + 1) & 0x7fffffff), random: randomBytes16() }),
  /** The instant inside such an id, or undefined where it is no UUIDv7. */
  timeOf: (id: string): Instant | undefined =>
    /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(id)
      ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
      : undefined,
}

/** RFC 3339 UTC with milliseconds. */
export const iso = (at: Instant): string => new Date(at).toISOString()

/** The same, where the column may be empty. */
export const isoOrNull = (at: Instant | null | undefined): string | null =>
  at === null || at === undefined ? null : iso(at)

/** Resolves after `ms`, or rejects with the signal's reason. For back-off and polling inside the kernel only. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    function onAbort() {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
