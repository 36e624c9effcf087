import type { Instant } from '../../kernel/clock/index.ts'
import { at, type Db, type Statement, sql } from '../../kernel/db/index.ts'
import { dayOf, type TelemetryTable } from './days.ts'

const DAY_MS = 86_400_000
/** Rows of one statement (decisions D10). */
const STEP = 5000

/** Days that are kept of tables that drop by partition, and of those that drop by rows (fleet.md §3.7, decisions D10). */
const BY_DAY: Readonly<Record<TelemetryTable, number>> = { logs: 30, metrics: 7, heartbeats: 7 }
const BY_ROW: readonly { table: Statement; column: Statement; days: number }[] = [
  { table: sql`metric_hours`, column: sql`at`, days: 30 },
  { table: sql`metric_days`, column: sql`at`, days: 365 },
  { table: sql`log_counts`, column: sql`hour`, days: 30 },
  { table: sql`instance_events`, column: sql`at`, days: 90 },
  { table: sql`command_executions`, column: sql`completed_at`, days: 30 },
]

/** Drops telemetry that is older than its retention; makes the partitions of today and tomorrow. Repeatable on any replica. */
export async function retainTelemetry(db: Db, now: Instant): Promise<void> {
  for (const [table, days] of Object.entries(BY_DAY)) {
    await db.engine(async (tx) => {
      await tx.run(sql`select fleet_drop_days(${table}, ${dayOf(now - days * DAY_MS)}::date)`)
      for (const day of [now, now + DAY_MS]) await tx.run(sql`select fleet_ensure_day(${table}, ${dayOf(day)}::date)`)
    })
  }
  for (const { table, column, days } of BY_ROW) {
    for (let dropped = STEP; dropped === STEP;) {
      dropped = await db.engine((tx) =>
        tx.run(sql`
          delete from ${table} where ctid = any(array(
            select ctid from ${table} where ${column} < ${at(now - days * DAY_MS)} limit ${STEP}))`),
      )
    }
  }
}
