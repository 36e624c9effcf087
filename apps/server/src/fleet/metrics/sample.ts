import type { AgentPayload } from '@wheelhouse/sdk/agent-protocol'
import type { Instant } from '../../kernel/clock/index.ts'

/** One measurement of a machine. Bytes and counters since boot; absent where the machine does not say. */
export interface Sample {
  instanceId: string
  at: Instant
  cpuPercent: number
  loadAvg1: number | null
  loadAvg5: number | null
  loadAvg15: number | null
  cpuSteal: number | null
  coreCount: number | null
  memUsed: number
  memTotal: number
  memCached: number | null
  swapUsed: number | null
  swapTotal: number | null
  diskUsed: number
  diskTotal: number
  diskReadBytes: number | null
  diskWriteBytes: number | null
  netBytesSent: number | null
  netBytesRecv: number | null
  netPacketsSent: number | null
  netPacketsRecv: number | null
  processCount: number | null
  uptimeSeconds: number | null
}

/** An agent's frame as one row; a device that is mounted twice counts once (fleet.md §3.7). Its time is the agent's, where it can be read. */
export function sampleOf(instanceId: string, now: Instant, frame: AgentPayload<'metrics'>): Sample {
  const { cpu, memory, disk, network } = frame
  const devices = new Map((disk ?? []).map((mount) => [mount.device, mount]))
  const sum = (key: 'used_bytes' | 'total_bytes') => [...devices.values()].reduce((total, each) => total + each[key], 0)
  const said = Date.parse(frame.timestamp)
  return {
    instanceId,
    at: Number.isNaN(said) ? now : said,
    cpuPercent: cpu.usage_percent,
    loadAvg1: cpu.load_avg_1,
    loadAvg5: cpu.load_avg_5,
    loadAvg15: cpu.load_avg_15,
    cpuSteal: cpu.steal_percent ?? null,
    coreCount: cpu.core_count,
    memUsed: memory.used_bytes,
    memTotal: memory.total_bytes,
    memCached: memory.cached_bytes,
    swapUsed: memory.swap_used_bytes,
    swapTotal: memory.swap_total_bytes,
    diskUsed: sum('used_bytes'),
    diskTotal: sum('total_bytes'),
    diskReadBytes: frame.disk_io?.read_bytes ?? null,
    diskWriteBytes: frame.disk_io?.written_bytes ?? null,
    netBytesSent: network.bytes_sent,
    netBytesRecv: network.bytes_recv,
    netPacketsSent: network.packets_sent,
    netPacketsRecv: network.packets_recv,
    processCount: frame.process_count ?? null,
    uptimeSeconds: frame.host_uptime_seconds ?? null,
  }
}
