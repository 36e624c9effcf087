import { pause } from '../clock/index.ts'
import { isDatabaseAway } from './errors.ts'

/** Longer than a database that was killed takes to come back, shorter than what an agent's silence would mean. */
const PATIENCE_MS = 15_000
const PAUSE_MS = 250

/**
 * Does `work` again while the database is away, for 15 s at most, then throws its last refusal. For what nobody would send a second
 * time; callers who can come again are refused at once. A commit whose answer was lost is done twice: `work` must bear that.
 */
export async function patiently<T>(work: () => Promise<T>): Promise<T> {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isDatabaseAway(error) || performance.now() > until) throw error
    }
    await pause(PAUSE_MS)
  }
}
