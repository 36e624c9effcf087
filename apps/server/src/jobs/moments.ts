/** jobs.md §1.6: a time in seconds, milliseconds, microseconds or nanoseconds, told apart by size, as microseconds. */
export function micros(value: number): number {
  if (value < 1e12) return value * 1_000_000
  if (value < 1e15) return value * 1000
  return value < 1e18 ? value : Math.floor(value / 1000)
}

/** The same for an upper bound: a coarser unit reaches to its end. */
export function microsUpTo(value: number): number {
  if (value < 1e12) return value * 1_000_000 + 999_999
  return value < 1e15 ? value * 1000 + 999 : micros(value)
}

/** The documents know no cap for `limit`; here it is 500 (§1.6, fix). */
export const capped = (limit: number): number => Math.min(limit, 500)
