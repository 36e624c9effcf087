import type { Instant } from '../../kernel/clock/index.ts'
import { at, type Statement, sql, type Tx } from '../../kernel/db/index.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Hours are kept 30 days; what is older comes from the days (decisions D10). */
const HOURS_KEPT_MS = 30 * DAY_MS

const up = (instant: Instant, step: number): Instant => Math.ceil(instant / step) * step
const down = (instant: Instant, step: number): Instant => Math.floor(instant / step) * step

/** The columns that every segment yields: sums and maxima, so that whatever is made of them is exact. */
const rolled = sql`instance_id, at, samples, cpu_sum, cpu_max, mem_sum, mem_max, mem_total, disk_sum, disk_max, disk_total,
  load1_sum, load5_sum, load15_sum, load_samples, net_sent_sum, net_recv_sum, net_samples`

export const rawAsSums = sql`instance_id, at, 1 as samples, cpu_percent as cpu_sum, cpu_percent as cpu_max, mem_used::float8 as mem_sum,
  mem_used as mem_max, mem_total, disk_used::float8 as disk_sum, disk_used as disk_max, disk_total, load_avg_1 as load1_sum,
  load_avg_5 as load5_sum, load_avg_15 as load15_sum, (load_avg_1 is not null)::int as load_samples,
  net_bytes_sent::float8 as net_sent_sum, net_bytes_recv::float8 as net_recv_sum, (net_bytes_sent is not null)::int as net_samples`

/**
 * A window of samples as one relation of sums: whole days from long ago, whole hours that are rolled up, and raw rows for what is left
 * at both ends, so that a year costs no more than a day and yet every mean is exact.
 */
export async function sumsBetween(
  tx: Tx,
  now: Instant,
  from: Instant,
  to: Instant,
  where: Statement,
): Promise<Statement> {
  const { newest } = await tx.one<{ newest: Instant | null }>(sql`select max(at) as newest from metric_hours`)
  // The newest hour may still be filling.
  const hoursEnd = Math.min(newest ?? 0, down(to, HOUR_MS))
  const hoursBegin = Math.max(up(from, HOUR_MS), up(now - HOURS_KEPT_MS, DAY_MS))
  const daysBegin = up(from, DAY_MS)
  const daysEnd = Math.min(hoursBegin, down(to, DAY_MS))
  const between = (table: Statement, columns: Statement, since: Instant, until: Instant): Statement =>
    sql`select ${columns} from ${table} where at >= ${at(since)} and at < ${at(until)} and ${where}`
  if (hoursEnd <= hoursBegin) return between(sql`metrics`, rawAsSums, from, to)
  const parts = [between(sql`metric_hours`, rolled, hoursBegin, hoursEnd)]
  if (daysEnd > daysBegin) parts.push(between(sql`metric_days`, rolled, daysBegin, daysEnd))
  else if (hoursBegin > from) parts.push(between(sql`metrics`, rawAsSums, from, hoursBegin))
  if (to > hoursEnd) parts.push(between(sql`metrics`, rawAsSums, hoursEnd, to))
  return sql.join(parts, sql` union all `)
}
