import { cpus, freemem, loadavg, totalmem, uptime } from 'node:os'
import { readdir } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { AgentPayload } from '@wheelhouse/sdk/agent-protocol'
import { readDisks } from './disks.ts'
import { hasProc, readProc } from './proc.ts'

export type Metrics = Omit<AgentPayload<'metrics'>, 'instance_id'>

interface CpuTimes {
  total: number
  idle: number
  steal: number
}

const SHORTEST_SAMPLE_MS = 250

/** Measures the host. CPU figures are the mean since the previous `sample`, or over a quarter of a second if that is more recent. */
export class MetricsSampler {
  #previous?: { at: number; times: CpuTimes[] }

  /** Begins the first interval. */
  async prime(): Promise<void> {
    this.#previous = { at: performance.now(), times: await readCpuTimes() }
  }

  async sample(): Promise<Metrics> {
    if (!this.#previous) await this.prime()
    const { at, times: before } = this.#previous!
    const elapsed = performance.now() - at
    if (elapsed < SHORTEST_SAMPLE_MS) await delay(SHORTEST_SAMPLE_MS - elapsed)
    const times = await readCpuTimes()
    this.#previous = { at: performance.now(), times }
    const [memory, disk, network, diskIo, processCount] = await Promise.all([
      readMemory(),
      readDisks(),
      readNetwork(),
      readDiskIo(),
      countProcesses(),
    ])
    const [load1 = 0, load5 = 0, load15 = 0] = loadavg()
    const perCore = times.slice(1).map((core, index) => usage(before[index + 1], core))
    return {
      timestamp: new Date().toISOString(),
      cpu: {
        usage_percent: usage(before[0], times[0]),
        load_avg_1: load1,
        load_avg_5: load5,
        load_avg_15: load15,
        core_count: perCore.length,
        per_core: perCore,
        steal_percent: share(before[0]?.steal, times[0]?.steal, before[0], times[0]),
      },
      memory,
      disk,
      network,
      ...(diskIo && { disk_io: diskIo }),
      ...(processCount !== undefined && { process_count: processCount }),
      host_uptime_seconds: Math.floor(uptime()),
    }
  }
}

const percent = (part: number, whole: number): number =>
  whole > 0 ? Math.round(Math.min(100, Math.max(0, (part / whole) * 100)) * 100) / 100 : 0

function usage(before: CpuTimes | undefined, after: CpuTimes | undefined): number {
  if (!before || !after) return 0
  const total = after.total - before.total
  return percent(total - (after.idle - before.idle), total)
}

function share(
  from: number | undefined,
  to: number | undefined,
  before: CpuTimes | undefined,
  after: CpuTimes | undefined,
): number {
  if (from === undefined || to === undefined || !before || !after) return 0
  return percent(to - from, after.total - before.total)
}

// All processors together first, then one by one.
async function readCpuTimes(): Promise<CpuTimes[]> {
  const stat = await readProc('stat')
  if (stat !== undefined) return parseCpuTimes(stat)
  const cores = cpus().map(({ times }) => {
    const total = times.user + times.nice + times.sys + times.idle + times.irq
    return { total, idle: times.idle, steal: 0 }
  })
  const sum = (key: keyof CpuTimes) => cores.reduce((total, core) => total + core[key], 0)
  return [{ total: sum('total'), idle: sum('idle'), steal: 0 }, ...cores]
}

/** `cpu` lines of `/proc/stat`. Guest time is part of user time there, so the first eight columns are the whole. */
export function parseCpuTimes(stat: string): CpuTimes[] {
  return stat
    .split('\n')
    .filter((line) => line.startsWith('cpu'))
    .map((line) => {
      const columns = line.split(/\s+/).slice(1, 9).map(Number)
      const [, , , idle = 0, wait = 0, , , steal = 0] = columns
      return { total: columns.reduce((sum, ticks) => sum + ticks, 0), idle: idle + wait, steal }
    })
}

async function readMemory(): Promise<Metrics['memory']> {
  const info = await readProc('meminfo')
  if (info === undefined) {
    const total = totalmem()
    const used = total - freemem()
    const none = { cached_bytes: 0, swap_total_bytes: 0, swap_used_bytes: 0 }
    return {
      total_bytes: total,
      used_bytes: used,
      free_bytes: total - used,
      usage_percent: percent(used, total),
      ...none,
    }
  }
  return parseMemory(info)
}

/** `used` is what the kernel could not give to a new program, so page cache that can be dropped counts as free. */
export function parseMemory(info: string): Metrics['memory'] {
  const bytes = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(info)?.[1] ?? 0) * 1024
  const total = bytes('MemTotal')
  const available = /^MemAvailable:/m.test(info) ? bytes('MemAvailable') : bytes('MemFree') + bytes('Cached')
  const used = Math.max(0, total - available)
  return {
    total_bytes: total,
    used_bytes: used,
    free_bytes: bytes('MemFree'),
    cached_bytes: bytes('Cached') + bytes('Buffers') + bytes('SReclaimable'),
    usage_percent: percent(used, total),
    swap_total_bytes: bytes('SwapTotal'),
    swap_used_bytes: Math.max(0, bytes('SwapTotal') - bytes('SwapFree')),
  }
}

async function readNetwork(): Promise<Metrics['network']> {
  return parseNetwork((await readProc('net/dev')) ?? '')
}

/** Counters since boot over all interfaces but the loopback, whose traffic leaves no machine. */
export function parseNetwork(dev: string): Metrics['network'] {
  const sum = { bytes_sent: 0, bytes_recv: 0, packets_sent: 0, packets_recv: 0 }
  for (const line of dev.split('\n')) {
    const [, name, counters] = /^\s*([^:\s]+):\s*(.*)$/.exec(line) ?? []
    if (!name || name === 'lo' || counters === undefined) continue
    const columns = counters.trim().split(/\s+/).map(Number)
    sum.bytes_recv += columns[0] ?? 0
    sum.packets_recv += columns[1] ?? 0
    sum.bytes_sent += columns[8] ?? 0
    sum.packets_sent += columns[9] ?? 0
  }
  return sum
}

async function readDiskIo(): Promise<Metrics['disk_io']> {
  const stats = await readProc('diskstats')
  const disks = hasProc ? await readdir('/sys/block').catch(() => []) : []
  return stats === undefined ? undefined : parseDiskIo(stats, new Set(disks))
}

/** Whole physical disks only: partitions are part of them, and loop, ram, dm and md devices stand on them. Sectors are 512 bytes here. */
export function parseDiskIo(stats: string, disks: ReadonlySet<string>): NonNullable<Metrics['disk_io']> {
  const sum = { read_bytes: 0, written_bytes: 0 }
  for (const line of stats.split('\n')) {
    const columns = line.trim().split(/\s+/)
    const name = columns[2]
    if (!name || !disks.has(name) || /^(loop|ram|zram|dm-|md|sr)/.test(name)) continue
    sum.read_bytes += Number(columns[5]) * 512
    sum.written_bytes += Number(columns[9]) * 512
  }
  return sum
}

async function countProcesses(): Promise<number | undefined> {
  return hasProc ? (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry)).length : undefined
}
