/** jobs.md §1.6: a time in seconds, milliseconds, microseconds or nanoseconds, told apart by size, as microseconds; what lies beyond exact numbers is their end. */
export function micros(value: number): number {
  if (value < 1e12) return Math.min(value * 1_000_000, LAST)
  if (value < 1e15) return Math.min(value * 1000, LAST)
  return Math.min(value < 1e18 ? value : Math.floor(value / 1000), LAST)
}

/** In the year 2255. */
const LAST = Number.MAX_SAFE_INTEGER

/** The same for an upper bound: a coarser unit reaches to its end. */
export function microsUpTo(value: number): number {
  if (value < 1e12) return Math.min(value * 1_000_000 + 999_999, LAST)
  return value < 1e15 ? Math.min(value * 1000 + 999, LAST) : micros(value)
}

/** The documents know no cap for `limit`; here it is 500 (§1.6, fix). */
export const capped = (limit: number): number => Math.min(limit, 500)
