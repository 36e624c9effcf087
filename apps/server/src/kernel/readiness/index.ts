import type { Bus } from '../bus/index.ts'
import { pause } from '../clock/index.ts'
import type { Db } from '../db/index.ts'
import type { Identity } from '../identity/index.ts'

export interface Readiness {
  /** Why this replica should not be sent requests; empty = it may. The first call waits for the first probe. */
  reasons(): Promise<readonly string[]>
  /** Hears when that may have changed. Ends with the returned function. */
  onChange(listener: () => void): () => void
  close(): Promise<void>
}

const EVERY_MS = 1000
const PROBE_MS = 2000
/** Down after three failures in a row, up after one success (platform.md §20.1). */
const FAILURES = 3

/** Probes what the server stands on, once a second, so that asking costs nothing and one hiccup changes nothing. */
export function openReadiness({ db, bus, identity }: { db: Db; bus: Bus; identity: Identity }): Readiness {
  const closing = new AbortController()
  let failures = 0
  let reasons: readonly string[] | undefined
  let probing: Promise<void> | undefined
  const listeners = new Set<() => void>()

  const answers = (work: Promise<unknown>): Promise<boolean> =>
    Promise.race([
      work.then(
        (value) => value !== false,
        () => false,
      ),
      pause(PROBE_MS, closing.signal).then(
        () => false,
        () => false,
      ),
    ])

  async function probe(): Promise<void> {
    const parts = await Promise.all([
      answers(db.ping()).then((up) => (up ? [] : ['database'])),
      answers(bus.ping()).then((up) => (up ? [] : ['nats'])),
      answers(bus.jetStreamUsable()).then((up) => (up ? [] : ['messaging'])),
      identity.ready() ? [] : ['accounts'],
    ])
    const found = parts.flat()
    if (closing.signal.aborted) return
    failures = found.length === 0 ? 0 : failures + 1
    if (failures > 0 && failures < FAILURES && reasons?.length === 0) return
    const hasChanged = reasons !== undefined && reasons.join() !== found.join()
    reasons = found
    if (hasChanged) for (const listener of listeners) listener()
  }

  const first = probe()
  async function run(): Promise<void> {
    await first
    while (!closing.signal.aborted) {
      await pause(EVERY_MS, closing.signal).catch(() => undefined)
      if (!closing.signal.aborted) await probe()
    }
  }
  const running = run()

  return {
    async reasons() {
      if (reasons === undefined) await first
      // Whoever waits for us learns of the recovery at once, not at the next round.
      if (reasons !== undefined && reasons.length > 0) await (probing ??= probe().finally(() => (probing = undefined)))
      return closing.signal.aborted ? ['shutting down'] : (reasons ?? [])
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    async close() {
      closing.abort()
      await running
    },
  }
}
