import type { Logger } from 'pino'
import { type Clock, ids, type Instant } from '../../kernel/clock/index.ts'
import { type Db, instants, openBatch, patiently, sql, words } from '../../kernel/db/index.ts'
import type { Feed } from '../../kernel/events/index.ts'
import type { EnsureDays } from '../telemetry/days.ts'
import type { Sample } from './sample.ts'

/** Raw samples and heartbeats are kept this long (fleet.md §3.7). */
export const METRIC_RETENTION_MS = 7 * 86_400_000
const AHEAD_MS = 5 * 60_000

export const METRIC_TOPIC = 'metrics'
export const HEARTBEAT_TOPIC = 'heartbeat'

export interface Beat {
  instanceId: string
  at: Instant
  cpuPercent: number | null
  memoryUsed: number | null
  memoryTotal: number | null
  diskUsed: number | null
  diskTotal: number | null
  uptimeSeconds: number
}

export interface MetricStore {
  /** Stores a sample of one of the tenant's instances once, durable when it resolves, also over a short outage; then live streams see it. */
  addSample(tenantId: string, sample: Sample): Promise<void>
  addBeat(tenantId: string, beat: Beat): Promise<void>
}

interface Kept {
  tenantId: string
  id: string
}

export function openMetricStore({
  db,
  feed,
  clock,
  log,
  days,
}: {
  db: Db
  feed: Feed
  clock: Clock
  log: Logger
  days: EnsureDays
}): MetricStore {
  const limits = { log, maxItems: 1000, maxQueued: 20_000, windowMs: 50 }
  const samples = openBatch<Sample & Kept, true>({ ...limits, name: 'samples' }, async (rows) => {
    await days(
      'metrics',
      rows.map((row) => row.at),
    )
    const column = (key: keyof (Sample & Kept)) => words(rows.map((row) => row[key]))
    await db.engine((tx) =>
      tx.run(sql`
          insert into metrics (tenant_id, at, id, instance_id, cpu_percent, load_avg_1, load_avg_5, load_avg_15, cpu_steal, core_count,
                               mem_used, mem_total, mem_cached, swap_used, swap_total, disk_used, disk_total, disk_read_bytes, disk_write_bytes,
                               net_bytes_sent, net_bytes_recv, net_packets_sent, net_packets_recv, process_count, uptime_seconds)
          select * from unnest(
            ${column('tenantId')}::uuid[], ${instants(rows.map((row) => row.at))}::timestamptz[], ${column('id')}::uuid[], ${column('instanceId')}::text[],
            ${column('cpuPercent')}::float8[], ${column('loadAvg1')}::float8[], ${column('loadAvg5')}::float8[], ${column('loadAvg15')}::float8[],
            ${column('cpuSteal')}::float8[], ${column('coreCount')}::int[], ${column('memUsed')}::bigint[], ${column('memTotal')}::bigint[],
            ${column('memCached')}::bigint[], ${column('swapUsed')}::bigint[], ${column('swapTotal')}::bigint[], ${column('diskUsed')}::bigint[],
            ${column('diskTotal')}::bigint[], ${column('diskReadBytes')}::bigint[], ${column('diskWriteBytes')}::bigint[],
            ${column('netBytesSent')}::bigint[], ${column('netBytesRecv')}::bigint[], ${column('netPacketsSent')}::bigint[],
            ${column('netPacketsRecv')}::bigint[], ${column('processCount')}::int[], ${column('uptimeSeconds')}::bigint[])
          on conflict do nothing`),
    )
    return rows.map((): true => true)
  })
  const beats = openBatch<Beat & Kept, true>({ ...limits, name: 'heartbeats' }, async (rows) => {
    await days(
      'heartbeats',
      rows.map((row) => row.at),
    )
    const column = (key: keyof (Beat & Kept)) => words(rows.map((row) => row[key]))
    await db.engine((tx) =>
      tx.run(sql`
          insert into heartbeats (tenant_id, at, id, instance_id, cpu_percent, memory_used, memory_total, disk_used, disk_total, uptime_seconds)
          select * from unnest(
            ${column('tenantId')}::uuid[], ${instants(rows.map((row) => row.at))}::timestamptz[], ${column('id')}::uuid[], ${column('instanceId')}::text[],
            ${column('cpuPercent')}::float8[], ${column('memoryUsed')}::bigint[], ${column('memoryTotal')}::bigint[],
            ${column('diskUsed')}::bigint[], ${column('diskTotal')}::bigint[], ${column('uptimeSeconds')}::bigint[])
          on conflict do nothing`),
    )
    return rows.map((): true => true)
  })

  /** Held within the retention and five minutes ahead: a host's clock decides neither of the day that is dropped next nor of the newest. */
  const kept = <T extends { at: Instant }>(tenantId: string, row: T): T & Kept => {
    const now = clock.now()
    const when = Math.min(Math.max(row.at, now - METRIC_RETENTION_MS), now + AHEAD_MS)
    return { ...row, at: when, tenantId, id: ids.at(when) }
  }

  return {
    async addSample(tenantId, sample) {
      const row = kept(tenantId, sample)
      await patiently(() => samples.add(row))
      const { tenantId: _, id: __, ...live } = row
      feed.publishLive(tenantId, METRIC_TOPIC, live)
    },
    async addBeat(tenantId, beat) {
      const row = kept(tenantId, beat)
      await patiently(() => beats.add(row))
      const { tenantId: _, id: __, ...live } = row
      feed.publishLive(tenantId, HEARTBEAT_TOPIC, live)
    },
  }
}
