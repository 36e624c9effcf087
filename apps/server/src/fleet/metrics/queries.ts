import type { Granularity, MetricPoint } from '@wheelhouse/contract/fleet/metrics'
import { type Instant, iso } from '../../kernel/clock/index.ts'
import { at, type Statement, sql, type Tx } from '../../kernel/db/index.ts'
import { rawAsSums, sumsBetween } from './segments.ts'

/** Rows of the legacy ranges: the reference has no bound; two weeks of one machine fit, and the newest are kept. */
const MOST_DATAPOINTS = 20_000
const MOST_LATEST = 5_000

export interface MetricFilter {
  instanceId?: string | undefined
  /** Instances of teams that the caller is not in. */
  hidden: readonly string[]
}

const conditions = ({ instanceId, hidden }: MetricFilter): Statement =>
  sql.join(
    [
      instanceId === undefined ? sql`true` : sql`instance_id = ${instanceId}`,
      hidden.length === 0 ? sql`true` : sql`instance_id <> all(${[...hidden]})`,
    ],
    sql` and `,
  )

interface DatapointRow {
  instanceId: string
  at: Instant
  cpuPercent: number
  memUsedBytes: number
  memTotalBytes: number
  diskUsedBytes: number
  diskTotalBytes: number
  netBytesSent: number
  netBytesRecv: number
  loadAvg1: number | null
}

/** Raw samples since an instant, oldest first. */
export async function datapoints(tx: Tx, since: Instant, filter: MetricFilter) {
  const rows = await tx.many<DatapointRow>(sql`
    select instance_id as "instanceId", at, cpu_percent as "cpuPercent", mem_used as "memUsedBytes", mem_total as "memTotalBytes",
           disk_used as "diskUsedBytes", disk_total as "diskTotalBytes", coalesce(net_bytes_sent, 0) as "netBytesSent",
           coalesce(net_bytes_recv, 0) as "netBytesRecv", load_avg_1 as "loadAvg1"
      from metrics where at >= ${at(since)} and ${conditions(filter)}
     order by at desc, id desc limit ${MOST_DATAPOINTS}`)
  return rows.toReversed().map(({ at: when, ...row }) => ({ ...row, timestamp: iso(when) }))
}

const big = (value: number): string => String(Math.round(value))
/** Means are told to four places: what is beyond is noise of the summing. */
const mean = (value: number): number => Math.round(value * 10_000) / 10_000
const meanOrNull = (value: number | null): number | null => (value === null ? null : mean(value))
const bigOrNull = (value: number | null): string | null => (value === null ? null : big(value))

interface PointRow {
  instanceId: string
  at: Instant
  cpuPercent: number
  memUsed: number
  memTotal: number
  diskUsed: number
  diskTotal: number
  loadAvg1: number | null
  loadAvg5: number | null
  loadAvg15: number | null
  netBytesSent: number | null
  netBytesRecv: number | null
}

const BUCKETS: Readonly<Record<Exclude<Granularity, 'raw'>, string>> = {
  '1m': '1 minute',
  '5m': '5 minutes',
  '1h': '1 hour',
  '1d': '1 day',
}

/** Samples of a window, oldest first: as stored, or the mean of each bucket and instance. */
export async function points(
  tx: Tx,
  now: Instant,
  wanted: { from: Instant; to: Instant; granularity: Granularity; limit: number },
  filter: MetricFilter,
): Promise<MetricPoint[]> {
  const { from, to, granularity, limit } = wanted
  const where = conditions(filter)
  const rows =
    granularity === 'raw'
      ? await tx.many<PointRow>(sql`
          select instance_id as "instanceId", at, cpu_percent as "cpuPercent", mem_used as "memUsed", mem_total as "memTotal",
                 disk_used as "diskUsed", disk_total as "diskTotal", load_avg_1 as "loadAvg1", load_avg_5 as "loadAvg5",
                 load_avg_15 as "loadAvg15", net_bytes_sent as "netBytesSent", net_bytes_recv as "netBytesRecv"
            from metrics where at >= ${at(from)} and at < ${at(to)} and ${where} order by at, id limit ${limit}`)
      : await tx.many<PointRow>(sql`
          with sums as (${
            granularity === '1m' || granularity === '5m'
              ? sql`select ${rawAsSums} from metrics where at >= ${at(from)} and at < ${at(to)} and ${where}`
              : await sumsBetween(tx, now, from, to, where)
          })
          select instance_id as "instanceId", date_bin(${BUCKETS[granularity]}::interval, at, '1970-01-01T00:00:00Z') as at,
                 sum(cpu_sum) / sum(samples) as "cpuPercent", sum(mem_sum) / sum(samples) as "memUsed", max(mem_total) as "memTotal",
                 sum(disk_sum) / sum(samples) as "diskUsed", max(disk_total) as "diskTotal",
                 sum(load1_sum) / nullif(sum(load_samples), 0) as "loadAvg1", sum(load5_sum) / nullif(sum(load_samples), 0) as "loadAvg5",
                 sum(load15_sum) / nullif(sum(load_samples), 0) as "loadAvg15",
                 sum(net_sent_sum) / nullif(sum(net_samples), 0) as "netBytesSent",
                 sum(net_recv_sum) / nullif(sum(net_samples), 0) as "netBytesRecv"
            from sums group by 1, 2 order by 2, 1 limit ${limit}`)
  return rows.map((row) => ({
    timestamp: iso(row.at),
    instanceId: row.instanceId,
    cpuPercent: mean(row.cpuPercent),
    memUsed: big(row.memUsed),
    memTotal: big(row.memTotal),
    diskUsed: big(row.diskUsed),
    diskTotal: big(row.diskTotal),
    loadAvg1: meanOrNull(row.loadAvg1),
    loadAvg5: meanOrNull(row.loadAvg5),
    loadAvg15: meanOrNull(row.loadAvg15),
    netBytesSent: bigOrNull(row.netBytesSent),
    netBytesRecv: bigOrNull(row.netBytesRecv),
  }))
}

/** Means and maxima of each instance over a window; at most 5,000 instances. */
export async function aggregates(tx: Tx, now: Instant, from: Instant, to: Instant, filter: MetricFilter) {
  const rows = await tx.many<{
    instanceId: string
    cpu: number
    cpuMax: number
    mem: number
    memMax: number
    disk: number
    diskMax: number
    load1: number | null
    samples: number
  }>(sql`
    with sums as (${await sumsBetween(tx, now, from, to, conditions(filter))})
    select instance_id as "instanceId", sum(cpu_sum) / sum(samples) as cpu, max(cpu_max) as "cpuMax", sum(mem_sum) / sum(samples) as mem,
           max(mem_max) as "memMax", sum(disk_sum) / sum(samples) as disk, max(disk_max) as "diskMax",
           sum(load1_sum) / nullif(sum(load_samples), 0) as load1, sum(samples)::bigint as samples
      from sums group by 1 order by 1 limit ${MOST_LATEST}`)
  return rows.map((row) => ({
    instanceId: row.instanceId,
    from: iso(from),
    to: iso(to),
    avgCpuPercent: mean(row.cpu),
    maxCpuPercent: row.cpuMax,
    avgMemUsed: big(row.mem),
    maxMemUsed: big(row.memMax),
    avgDiskUsed: big(row.disk),
    maxDiskUsed: big(row.diskMax),
    avgLoadAvg1: meanOrNull(row.load1),
    sampleCount: row.samples,
  }))
}

const percent = (part: number, whole: number): number => (whole === 0 ? 0 : Math.round((part / whole) * 10_000) / 100)

/** The newest sample of each of these instances, of the last week. One index probe for each. */
export async function latest(tx: Tx, now: Instant, from: Statement) {
  const rows = await tx.many<PointRow>(sql`
    select instances.id as "instanceId", newest.at, newest.cpu_percent as "cpuPercent", newest.mem_used as "memUsed", newest.mem_total as "memTotal",
           newest.disk_used as "diskUsed", newest.disk_total as "diskTotal", newest.load_avg_1 as "loadAvg1", newest.load_avg_5 as "loadAvg5",
           newest.load_avg_15 as "loadAvg15", newest.net_bytes_sent as "netBytesSent", newest.net_bytes_recv as "netBytesRecv"
      from (select id from instances where ${from} order by id limit ${MOST_LATEST}) instances
     cross join lateral (
       select * from metrics where instance_id = instances.id and at > ${at(now - 7 * 86_400_000)} order by at desc, id desc limit 1) newest
     order by 1`)
  return rows.map((row) => ({
    instanceId: row.instanceId,
    timestamp: iso(row.at),
    cpuPercent: row.cpuPercent,
    memUsed: big(row.memUsed),
    memTotal: big(row.memTotal),
    memPercent: percent(row.memUsed, row.memTotal),
    diskUsed: big(row.diskUsed),
    diskTotal: big(row.diskTotal),
    diskPercent: percent(row.diskUsed, row.diskTotal),
    loadAvg1: row.loadAvg1,
    loadAvg5: row.loadAvg5,
    loadAvg15: row.loadAvg15,
    netBytesSent: bigOrNull(row.netBytesSent),
    netBytesRecv: bigOrNull(row.netBytesRecv),
  }))
}
