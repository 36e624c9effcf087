import { afterAll, beforeAll, expect, test } from 'vitest'
import { sql } from '../../kernel/db/index.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { retainTelemetry } from '../telemetry/retention.ts'
import { storesOf } from '../telemetry/stores.ts'
import { rollUpMetrics } from './rollup.ts'
import { type Sample, sampleOf } from './sample.ts'

const HOUR = 3_600_000
const NOW = Math.floor(Date.now() / HOUR) * HOUR + 40 * 60_000

let world: World
beforeAll(async () => {
  world = await openWorld({ movableClock: true })
  world.clock?.advance(NOW - world.kernel.clock.now())
  for (const instance_id of ['m1', 'm2']) await world.call('POST', '/api/v1/instances', { body: { instance_id } })
  // Every ten minutes of the last five hours: cpu 0, 10, 20, ... on m1, the same plus 1 on m2.
  const { metrics } = storesOf(world.kernel)
  for (let n = 0; n <= 30; n++) {
    const at = NOW - (30 - n) * 600_000
    await metrics.addSample(world.a.id, sample({ instanceId: 'm1', at, cpuPercent: n * 10, memUsed: 1000 * n }))
    await metrics.addSample(world.a.id, sample({ instanceId: 'm2', at, cpuPercent: n * 10 + 1, loadAvg1: null }))
  }
  await metrics.addBeat(world.a.id, {
    instanceId: 'm1',
    at: NOW,
    cpuPercent: null,
    memoryUsed: null,
    memoryTotal: null,
    diskUsed: null,
    diskTotal: null,
    uptimeSeconds: 77,
  })
})
afterAll(() => world.close())

const sample = (some: Partial<Sample>): Sample => ({
  instanceId: 'm1',
  at: NOW,
  cpuPercent: 1,
  loadAvg1: 0.5,
  loadAvg5: 0.4,
  loadAvg15: 0.3,
  cpuSteal: null,
  coreCount: 2,
  memUsed: 500,
  memTotal: 3000,
  memCached: null,
  swapUsed: null,
  swapTotal: null,
  diskUsed: 10,
  diskTotal: 40,
  diskReadBytes: null,
  diskWriteBytes: null,
  netBytesSent: 9_000_000_000,
  netBytesRecv: 1,
  netPacketsSent: null,
  netPacketsRecv: null,
  processCount: 3,
  uptimeSeconds: 60,
  ...some,
})
const get = (path: string, as = world.a.keys.viewer) => world.call('GET', path, { as })
const iso = (at: number) => new Date(at).toISOString()
const window = `from=${iso(NOW - 5 * HOUR)}&to=${iso(NOW + 1)}`

test('lists raw samples of a range, oldest first', async () => {
  const { body } = await get('/api/v1/metrics/timeseries?range=1h&instanceId=m1')
  expect(body.datapoints.map((each: { cpuPercent: number }) => each.cpuPercent)).toEqual([
    240, 250, 260, 270, 280, 290, 300,
  ])
  expect(body.datapoints[0]).toMatchObject({ instanceId: 'm1', netBytesSent: 9_000_000_000, loadAvg1: 0.5 })
  expect((await get('/api/v1/metrics/timeseries')).body.datapoints).toHaveLength(14)
  expect((await get('/api/v1/instances/m1/metrics?range=6h')).body.datapoints).toHaveLength(31)
  expect((await get('/api/v1/instances/m1/metrics', world.b.keys.admin)).status).toBe(404)
  expect((await get('/api/v1/metrics/timeseries', world.b.keys.admin)).body.datapoints).toEqual([])
  expect((await get('/api/v1/metrics/timeseries?range=9h')).status).toBe(422)
})

const ranged = async (more: string) => (await get(`/api/v1/metrics/timeseries/range?${window}&${more}`)).body

test('answers buckets that are the means of what is stored, before and after it was rolled up', async () => {
  const raw = await ranged('instanceId=m1&granularity=raw')
  expect(raw.meta).toMatchObject({ count: 31, granularity: 'raw', instanceId: 'm1' })
  expect(raw.points[0]).toMatchObject({ memUsed: '0', memTotal: '3000', netBytesSent: '9000000000' })
  const before = {
    hours: await ranged('granularity=1h'),
    days: await ranged('granularity=1d'),
    aggregate: (await get(`/api/v1/metrics/aggregate?${window}`)).body,
  }
  expect(before.hours.points.filter((each: { instanceId: string }) => each.instanceId === 'm1')).toHaveLength(6)
  // The third hour holds the samples 8 to 13.
  expect(before.hours.points[4]).toMatchObject({ instanceId: 'm1', cpuPercent: 105, memUsed: '10500', loadAvg1: 0.5 })
  expect(before.hours.points[5]).toMatchObject({ instanceId: 'm2', cpuPercent: 106, loadAvg1: null })
  expect(before.aggregate.aggregates).toMatchObject([
    {
      instanceId: 'm1',
      avgCpuPercent: 150,
      maxCpuPercent: 300,
      maxMemUsed: '30000',
      sampleCount: 31,
      avgLoadAvg1: 0.5,
    },
    { instanceId: 'm2', avgCpuPercent: 151, sampleCount: 31, avgLoadAvg1: null },
  ])
  await rollUpMetrics(world.kernel.db, NOW)
  await rollUpMetrics(world.kernel.db, NOW)
  const rolled = await world.kernel.db.tenant(world.a.id, (tx) =>
    tx.one<{ n: number }>(sql`select count(*) as n from metric_hours`),
  )
  expect(rolled.n).toBe(12)
  // What is rolled up is read from there: a raw row of a finished hour that goes missing changes nothing.
  await world.kernel.db.engine((tx) =>
    tx.run(sql`delete from metrics where at < ${new Date(NOW - 4 * HOUR)} and at > ${new Date(NOW - 4.5 * HOUR)}`),
  )
  expect(await ranged('granularity=1h')).toEqual(before.hours)
  expect(await ranged('granularity=1d')).toEqual(before.days)
  expect((await get(`/api/v1/metrics/aggregate?${window}`)).body).toEqual(before.aggregate)
})

test('bounds and checks a ranged query', async () => {
  expect((await ranged('granularity=1m&limit=3')).points).toHaveLength(3)
  const path = '/api/v1/metrics/timeseries/range'
  expect(await get(`${path}?from=${iso(NOW)}&to=${iso(NOW - 1)}`)).toMatchObject({
    status: 422,
    body: { details: { fieldErrors: { from: ['must be before to'] } } },
  })
  expect((await get(path)).status).toBe(422)
  expect((await get(`${path}?${window}&limit=2001`)).status).toBe(422)
})

test('answers the newest sample of each instance', async () => {
  const { body } = await get('/api/v1/metrics/latest')
  expect(body).toMatchObject({
    count: 2,
    metrics: [
      { instanceId: 'm1', cpuPercent: 300, memPercent: 1000, diskPercent: 25, netBytesSent: '9000000000' },
      { instanceId: 'm2', cpuPercent: 301, memPercent: 16.67 },
    ],
  })
  expect((await get('/api/v1/metrics/latest?instanceIds=m2,nobody')).body.count).toBe(1)
  expect((await get('/api/v1/metrics/latest', world.b.keys.viewer)).body.count).toBe(0)
})

test('fills the resources of a heartbeat that carries none from the newest sample', async () => {
  expect((await get('/api/v1/instances/m1')).body.lastHeartbeat).toEqual({
    cpuPercent: 300,
    memoryUsedBytes: '30000',
    memoryTotalBytes: '3000',
    diskUsedBytes: '10',
    diskTotalBytes: '40',
    uptimeSeconds: '77',
    timestamp: iso(NOW),
  })
  expect(
    (await get('/api/v1/instances')).body.instances.find((each: { id: string }) => each.id === 'm2').lastHeartbeat,
  ).toBeNull()
})

test('a device that is mounted twice counts once', () => {
  const mount = {
    device: '/dev/sda1',
    mount_point: '/',
    fs_type: 'ext4',
    total_bytes: 100,
    used_bytes: 40,
    free_bytes: 60,
    usage_percent: 40,
  }
  const made = sampleOf('x', NOW, {
    instance_id: 'x',
    timestamp: '2026-01-01T00:00:00.123456789Z',
    cpu: { usage_percent: 5, load_avg_1: 1, load_avg_5: 2, load_avg_15: 3, core_count: 4 },
    memory: {
      total_bytes: 10,
      used_bytes: 5,
      free_bytes: 5,
      cached_bytes: 1,
      usage_percent: 50,
      swap_total_bytes: 0,
      swap_used_bytes: 0,
    },
    disk: [mount, { ...mount, mount_point: '/var' }, { ...mount, device: '/dev/sdb', used_bytes: 1 }],
    network: { bytes_sent: 1, bytes_recv: 2, packets_sent: 3, packets_recv: 4 },
  })
  expect(made).toMatchObject({ diskTotal: 200, diskUsed: 41, at: Date.parse('2026-01-01T00:00:00.123Z') })
})

test('drops what is older than its retention and keeps the rest', async () => {
  const count = (table: string) =>
    world.kernel.db.tenant(world.a.id, (tx) =>
      tx.one<{ n: number }>(sql`select count(*) as n from ${sql.table(table)}`),
    )
  const before = (await count('metrics')).n
  await retainTelemetry(world.kernel.db, NOW)
  expect((await count('metrics')).n).toBe(before)
  await retainTelemetry(world.kernel.db, NOW + 9 * 24 * HOUR)
  expect((await count('metrics')).n).toBe(0)
  expect((await count('heartbeats')).n).toBe(0)
  expect((await count('metric_hours')).n).toBe(12)
  await retainTelemetry(world.kernel.db, NOW + 40 * 24 * HOUR)
  expect((await count('metric_hours')).n).toBe(0)
  expect((await count('metric_days')).n).toBeGreaterThan(0)
  expect((await count('instance_events')).n).toBe(2)
})
