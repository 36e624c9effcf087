import type { Instant } from '../../kernel/clock/index.ts'
import { at, type Db, type Statement, sql } from '../../kernel/db/index.ts'
import { rawAsSums } from './segments.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

const columns = sql`tenant_id, at, instance_id, samples, cpu_sum, cpu_max, mem_sum, mem_max, mem_total, disk_sum, disk_max, disk_total,
  load1_sum, load5_sum, load15_sum, load_samples, net_sent_sum, net_recv_sum, net_samples`

const totals = (bucket: string): Statement => sql`
  tenant_id, date_trunc(${bucket}, at, 'UTC'), instance_id, sum(samples), sum(cpu_sum), max(cpu_max), sum(mem_sum), max(mem_max), max(mem_total),
  sum(disk_sum), max(disk_max), max(disk_total), sum(load1_sum), sum(load5_sum), sum(load15_sum), sum(load_samples), sum(net_sent_sum),
  sum(net_recv_sum), sum(net_samples)`

const replaced = sql`on conflict (tenant_id, instance_id, at) do update set
  samples = excluded.samples, cpu_sum = excluded.cpu_sum, cpu_max = excluded.cpu_max, mem_sum = excluded.mem_sum, mem_max = excluded.mem_max,
  mem_total = excluded.mem_total, disk_sum = excluded.disk_sum, disk_max = excluded.disk_max, disk_total = excluded.disk_total,
  load1_sum = excluded.load1_sum, load5_sum = excluded.load5_sum, load15_sum = excluded.load15_sum, load_samples = excluded.load_samples,
  net_sent_sum = excluded.net_sent_sum, net_recv_sum = excluded.net_recv_sum, net_samples = excluded.net_samples`

/**
 * Rolls raw samples up into hours and days (fleet.md §3.7). Repeatable: the hours since the last run, and the one before, are computed
 * anew. At most one replica does it at a time; the others return at once.
 */
export async function rollUpMetrics(db: Db, now: Instant): Promise<void> {
  await db.engine(async (tx) => {
    const { mine } = await tx.one<{ mine: boolean }>(
      sql`select pg_try_advisory_xact_lock(hashtext('fleet roll-up')) as mine`,
    )
    if (!mine) return
    const { newest } = await tx.one<{ newest: Instant | null }>(sql`select max(at) as newest from metric_hours`)
    const from = Math.max(
      Math.floor(Math.min((newest ?? 0) - HOUR_MS, now - HOUR_MS) / HOUR_MS) * HOUR_MS,
      Math.floor((now - 7 * DAY_MS) / HOUR_MS) * HOUR_MS,
    )
    await tx.run(sql`
      insert into metric_hours (${columns})
      select ${totals('hour')} from (select tenant_id, ${rawAsSums} from metrics where at >= ${at(from)}) sums group by 1, 2, 3 ${replaced}`)
    const day = Math.floor(from / DAY_MS) * DAY_MS
    await tx.run(sql`
      insert into metric_days (${columns})
      select ${totals('day')} from metric_hours where at >= ${at(day)} group by 1, 2, 3 ${replaced}`)
  })
}
