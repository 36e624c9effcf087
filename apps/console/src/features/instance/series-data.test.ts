import { describe, expect, test } from 'vitest'
import type { MetricPoint } from '../../api/wire.ts'
import { diskFullAt, instanceSeries } from './series-data.ts'

const point = (seconds: number, changes: Partial<MetricPoint> = {}): MetricPoint => ({
  timestamp: new Date(seconds * 1000).toISOString(),
  instanceId: 'a',
  cpuPercent: 10,
  memUsed: '50',
  memTotal: '100',
  diskUsed: '10',
  diskTotal: '100',
  loadAvg1: 1,
  loadAvg5: 1,
  loadAvg15: 1,
  netBytesSent: '0',
  netBytesRecv: '0',
  ...changes,
})
const reading = (seconds: number, bytes: number) => ({
  ts: seconds * 1000,
  cpu_percent: 20,
  memory_used: 50,
  memory_total: 100,
  disk_used: 10,
  disk_total: 100,
  network_bytes_in: bytes,
  network_bytes_out: bytes,
})

describe('what the charts of an instance show', () => {
  test('cumulative counters become rates, and a fall of the counter a gap', () => {
    const series = instanceSeries(
      [point(0), point(60, { netBytesRecv: '600' }), point(120, { netBytesRecv: '10' })],
      [],
      60_000,
    )
    expect(series.received).toEqual([null, 10, null])
  })
  test('live readings follow the stored points, those before the last are left out', () => {
    const series = instanceSeries(
      [point(0), point(60, { netBytesRecv: '600' })],
      [reading(50, 0), reading(70, 700)],
      60_000,
    )
    expect(series.times).toEqual([0, 60_000, 70_000])
    expect(series.cpu).toEqual([10, 10, 20])
    expect(series.received[2]).toBe(10)
  })
  test('a silence breaks the line', () => {
    const series = instanceSeries([point(0), point(600)], [], 60_000)
    expect(series.cpu).toEqual([10, null, 10])
    expect(series.times).toEqual([0, 599_999, 600_000])
  })
  test('shares need a whole', () => {
    expect(instanceSeries([point(0, { memTotal: '0' })], [], 60_000).memory).toEqual([null])
  })
})

describe('when the disk is full', () => {
  const times = Array.from({ length: 60 }, (_, index) => index * 60_000)
  test('a steady growth is carried on', () => {
    const disk = times.map((_, index) => 40 + index)
    expect(diskFullAt({ times, disk })).toBe(60 * 60_000)
  })
  test('an hour in which little was written is not carried on for days', () => {
    const disk = times.map((_, index) => 8 + index / 100)
    expect(diskFullAt({ times, disk })).toBeUndefined()
  })
  test('a disk that does not grow is never full', () => {
    expect(diskFullAt({ times, disk: times.map(() => 40) })).toBeUndefined()
    expect(diskFullAt({ times: [], disk: [] })).toBeUndefined()
  })
})
