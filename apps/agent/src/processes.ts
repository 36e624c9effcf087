import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { HostProcess } from '@wheelhouse/sdk/agent-protocol'
import { readAllStats, readProc, TICKS_PER_SECOND } from './proc.ts'

const SAMPLE_MS = 400
const STATES: Record<string, string> = {
  R: 'running',
  S: 'sleeping',
  D: 'waiting',
  Z: 'zombie',
  T: 'stopped',
  t: 'stopped',
  I: 'idle',
  X: 'dead',
}

/** The host's processes with their present use of a processor (100 % = one core, measured over 0.4 s), heaviest first. */
export async function listProcesses({
  limit = 200,
  sort = 'cpu',
}: { limit?: number; sort?: 'cpu' | 'memory' } = {}): Promise<{
  total: number
  processes: HostProcess[]
}> {
  const before = new Map((await readAllStats()).map((stat) => [`${stat.pid}:${stat.started}`, stat.ticks]))
  const begun = performance.now()
  await delay(SAMPLE_MS)
  const stats = await readAllStats()
  const elapsedTicks = ((performance.now() - begun) / 1000) * TICKS_PER_SECOND
  const [names, memoryTotal, bootedAt] = await Promise.all([readUserNames(), readMemoryTotal(), readBootTime()])
  const listed = await Promise.all(
    stats.map(async (stat): Promise<HostProcess | undefined> => {
      const status = await readStatus(stat.pid)
      if (!status) return undefined
      const ticks = stat.ticks - (before.get(`${stat.pid}:${stat.started}`) ?? 0)
      return {
        pid: stat.pid,
        ppid: stat.ppid,
        name: stat.name,
        status: STATES[stat.state] ?? 'unknown',
        user: names.get(status.uid) ?? status.uid,
        cpu_percent: round((ticks / elapsedTicks) * 100),
        memory_bytes: status.residentBytes,
        memory_percent: memoryTotal > 0 ? round((status.residentBytes / memoryTotal) * 100) : 0,
        threads: stat.threads,
        started_at: new Date(bootedAt + (stat.started / TICKS_PER_SECOND) * 1000).toISOString(),
      }
    }),
  )
  const key = sort === 'memory' ? 'memory_bytes' : 'cpu_percent'
  const processes = listed
    .filter((process_) => process_ !== undefined)
    .toSorted((a, b) => b[key] - a[key] || b.memory_bytes - a.memory_bytes || a.pid - b.pid)
  const top = processes.slice(0, limit)
  for (const process_ of top) {
    const command = await readCommand(process_.pid)
    if (command) process_.command = command
  }
  return { total: processes.length, processes: top }
}

const round = (value: number): number => Math.round(Math.max(0, value) * 100) / 100

async function readStatus(pid: number): Promise<{ uid: string; residentBytes: number } | undefined> {
  const status = await readProc(`${pid}/status`)
  if (status === undefined) return undefined
  const resident = /^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? '0'
  return { uid: /^Uid:\s+(\d+)/m.exec(status)?.[1] ?? '?', residentBytes: Number(resident) * 1024 }
}

// Shown to people: shortened, and without the control characters a program may have put there.
async function readCommand(pid: number): Promise<string> {
  const line = (await readProc(`${pid}/cmdline`)) ?? ''
  return line
    .replaceAll('\0', ' ')
    .replace(/\p{Cc}/gu, '?')
    .trim()
    .slice(0, 300)
}

async function readUserNames(): Promise<Map<string, string>> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '')
  return new Map(
    passwd.split('\n').flatMap((line) => (line.includes(':') ? [[line.split(':')[2]!, line.split(':')[0]!]] : [])),
  )
}

async function readMemoryTotal(): Promise<number> {
  return Number(/^MemTotal:\s+(\d+)/m.exec((await readProc('meminfo')) ?? '')?.[1] ?? 0) * 1024
}

async function readBootTime(): Promise<number> {
  return Number(/^btime\s+(\d+)/m.exec((await readProc('stat')) ?? '')?.[1] ?? 0) * 1000
}
