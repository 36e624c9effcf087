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

/** Ids of ours: UUIDv7, lower case, in the order of their making within one process. */
export const ids = { next: (): string => v7() }

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
