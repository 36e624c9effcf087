import type { Instant } from '../../kernel/clock/index.ts'
import { type Db, sql } from '../../kernel/db/index.ts'

export type TelemetryTable = 'logs' | 'metrics' | 'heartbeats'

/** Makes sure that the day partitions of some instants are there. Call it before the transaction that writes into them. */
export type EnsureDays = (table: TelemetryTable, instants: readonly Instant[]) => Promise<void>

const DAY_MS = 86_400_000

export const dayOf = (at: Instant): string => new Date(at).toISOString().slice(0, 10)

/** Asks the database once for each day and remembers; making a partition locks its table for a moment. */
export function ensureDays(db: Db): EnsureDays {
  const known = new Set<string>()
  return async (table, instants) => {
    const missing = new Set(instants.map((at) => Math.floor(at / DAY_MS)))
    for (const number of missing) {
      const day = dayOf(number * DAY_MS)
      if (known.has(`${table} ${day}`)) continue
      await db.engine((tx) => tx.run(sql`select fleet_ensure_day(${table}, ${day}::date)`))
      known.add(`${table} ${day}`)
    }
  }
}
