import type { MetricSnapshot } from '../../api/instance-streams.ts'
import type { MetricPoint } from '../../api/wire.ts'

export interface InstanceSeries {
  times: number[]
  cpu: (number | null)[]
  memory: (number | null)[]
  disk: (number | null)[]
  load: (number | null)[]
  /** Bytes a second. */
  received: (number | null)[]
  sent: (number | null)[]
  memoryTotal: number
  diskTotal: number
}

interface Reading {
  at: number
  cpu: number
  memUsed: number
  memTotal: number
  diskUsed: number
  diskTotal: number
  load: number | null
  sent: number | null
  received: number | null
}

const fromPoint = (point: MetricPoint): Reading => ({
  at: Date.parse(point.timestamp),
  cpu: point.cpuPercent,
  memUsed: Number(point.memUsed),
  memTotal: Number(point.memTotal),
  diskUsed: Number(point.diskUsed),
  diskTotal: Number(point.diskTotal),
  load: point.loadAvg1,
  sent: point.netBytesSent === null ? null : Number(point.netBytesSent),
  received: point.netBytesRecv === null ? null : Number(point.netBytesRecv),
})

const fromSnapshot = (snapshot: MetricSnapshot): Reading => ({
  at: snapshot.ts,
  cpu: snapshot.cpu_percent,
  memUsed: snapshot.memory_used,
  memTotal: snapshot.memory_total,
  diskUsed: snapshot.disk_used,
  diskTotal: snapshot.disk_total,
  load: null,
  sent: snapshot.network_bytes_out,
  received: snapshot.network_bytes_in,
})

const percent = (part: number, whole: number): number | null => (whole > 0 ? (part / whole) * 100 : null)

/** Stored points, then live readings after the last of them, as the charts want them. Where readings are missing for three steps the line breaks. Network counters are cumulative: the charts show rates, and a counter that fell (a reboot) gives a gap. */
export function instanceSeries(
  points: readonly MetricPoint[],
  live: readonly MetricSnapshot[],
  stepMs: number,
): InstanceSeries {
  const stored = points.map(fromPoint)
  const lastStored = stored.at(-1)?.at ?? 0
  const readings = [...stored, ...live.filter((snapshot) => snapshot.ts > lastStored).map(fromSnapshot)]
  const out: InstanceSeries = {
    times: [],
    cpu: [],
    memory: [],
    disk: [],
    load: [],
    received: [],
    sent: [],
    memoryTotal: readings.at(-1)?.memTotal ?? 0,
    diskTotal: readings.at(-1)?.diskTotal ?? 0,
  }
  const rate = (now: number | null, before: number | null | undefined, ms: number) =>
    now === null || before === null || before === undefined || now < before || ms <= 0
      ? null
      : (now - before) / (ms / 1000)
  let before: Reading | undefined
  for (const reading of readings) {
    const gap = before && reading.at - before.at > stepMs * 3
    if (gap) {
      out.times.push(reading.at - 1)
      for (const values of [out.cpu, out.memory, out.disk, out.load, out.received, out.sent]) values.push(null)
    }
    const since = before && !gap ? reading.at - before.at : 0
    out.times.push(reading.at)
    out.cpu.push(reading.cpu)
    out.memory.push(percent(reading.memUsed, reading.memTotal))
    out.disk.push(percent(reading.diskUsed, reading.diskTotal))
    out.load.push(reading.load)
    out.received.push(rate(reading.received, before?.received, since))
    out.sent.push(rate(reading.sent, before?.sent, since))
    before = reading
  }
  return out
}

/** When the disk is full if it goes on as in this window; undefined when it does not grow, only after 30 days, or further away than a day for each hour seen. */
export function diskFullAt(series: Pick<InstanceSeries, 'times' | 'disk'>): number | undefined {
  const known = series.times.flatMap((at, index) => {
    const value = series.disk[index]
    return value === null || value === undefined ? [] : [{ at, value }]
  })
  const first = known[0]
  const last = known.at(-1)
  if (!first || !last || known.length < 10 || last.at - first.at < 600_000) return undefined
  const perMs = (last.value - first.value) / (last.at - first.at)
  if (perMs <= 0) return undefined
  const left = (100 - last.value) / perMs
  // Minutes of growth say nothing of next week.
  return left < Math.min(30 * 86_400_000, 24 * (last.at - first.at)) ? last.at + left : undefined
}
