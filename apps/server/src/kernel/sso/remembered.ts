import type { Clock, Instant } from '../clock/index.ts'

/** What a provider says of itself is asked again after this long. */
const LIFE_MS = 10 * 60_000

/** Fetches at the first use and again when it is old; callers at once share one fetch, and a failure is not remembered. */
export function remembered<T>(clock: Clock, fetch: () => Promise<T>): () => Promise<T> {
  let known: { value: Promise<T>; until: Instant } | undefined
  return () => {
    if (known && known.until > clock.now()) return known.value
    const value = fetch()
    const mine = { value, until: clock.now() + LIFE_MS }
    known = mine
    value.catch(() => {
      if (known === mine) known = undefined
    })
    return value
  }
}
