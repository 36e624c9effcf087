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

/** Ids of ours: UUIDv7, lower case, in the order of their making within one process. */
export const ids = {
  next: (): string => v7(),
  /** One whose time is `at`, so that the id finds the day of its row (decisions D4); of equal times the later made is the greater. */
  at: (at: Instant): string => v7({ msecs: at, seq: (made = (made + 1) & 0x7fffffff) }),
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
