import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Json, Nullable, OneOf, Timestamp } from '../schemas.ts'
import { BigText, ById, EVENT_TYPES, NullableNumber, NullableText, Status } from './words.ts'

export const METRIC_RANGES = ['1h', '6h', '24h', '7d'] as const
export type MetricRange = (typeof METRIC_RANGES)[number]

export const GRANULARITIES = ['raw', '1m', '5m', '1h', '1d'] as const
export type Granularity = (typeof GRANULARITIES)[number]

const RangeQuery = { range: OneOf(METRIC_RANGES, { default: '1h' }) }

const Datapoint = {
  timestamp: Timestamp,
  cpuPercent: Type.Number(),
  memUsedBytes: Type.Number(),
  memTotalBytes: Type.Number(),
  diskUsedBytes: Type.Number(),
  diskTotalBytes: Type.Number(),
  netBytesSent: Type.Number(),
  netBytesRecv: Type.Number(),
  loadAvg1: NullableNumber,
}

const loads = { loadAvg1: NullableNumber, loadAvg5: NullableNumber, loadAvg15: NullableNumber }
const traffic = { netBytesSent: Nullable(BigText), netBytesRecv: Nullable(BigText) }

export const MetricPoint = Type.Object({
  timestamp: Timestamp,
  instanceId: Id,
  cpuPercent: Type.Number(),
  memUsed: BigText,
  memTotal: BigText,
  diskUsed: BigText,
  diskTotal: BigText,
  ...loads,
  ...traffic,
})
export type MetricPoint = Static<typeof MetricPoint>

const BetweenQuery = {
  from: Timestamp,
  to: Timestamp,
  instanceId: Type.Optional(Id),
}

const read = {
  method: 'GET',
  group: 'Metrics',
  permission: 'metric:read',
  floor: 'VIEWER',
  rate: 'fleet-default',
} as const

export const metrics = area({
  getTimeseries: {
    ...read,
    path: '/api/v1/metrics/timeseries',
    summary: 'Samples of the last hour, 6 hours, day or week, oldest first; the newest 20,000 at most',
    query: Type.Object({ ...RangeQuery, instanceId: Type.Optional(Id) }),
    reply: Type.Object({
      range: OneOf(METRIC_RANGES),
      since: Timestamp,
      datapoints: Type.Array(Type.Object({ instanceId: Id, ...Datapoint })),
    }),
  },
  getTimeseriesRange: {
    ...read,
    path: '/api/v1/metrics/timeseries/range',
    summary: 'Samples between two instants, as stored or as means of buckets',
    query: Type.Object({
      ...BetweenQuery,
      granularity: OneOf(GRANULARITIES, { default: '1m' }),
      limit: Type.Integer({ minimum: 1, maximum: 2000, default: 500 }),
    }),
    reply: Type.Object({
      points: Type.Array(MetricPoint),
      meta: Type.Object({
        instanceId: NullableText,
        from: Timestamp,
        to: Timestamp,
        granularity: OneOf(GRANULARITIES),
        count: Type.Integer(),
      }),
    }),
  },
  getAggregate: {
    ...read,
    path: '/api/v1/metrics/aggregate',
    summary: 'Means and maxima of each instance between two instants',
    query: Type.Object(BetweenQuery),
    reply: Type.Object({
      aggregates: Type.Array(
        Type.Object({
          instanceId: Id,
          from: Timestamp,
          to: Timestamp,
          avgCpuPercent: Type.Number(),
          maxCpuPercent: Type.Number(),
          avgMemUsed: BigText,
          maxMemUsed: BigText,
          avgDiskUsed: BigText,
          maxDiskUsed: BigText,
          avgLoadAvg1: NullableNumber,
          sampleCount: Type.Integer(),
        }),
      ),
      meta: Type.Object({ instanceId: NullableText, from: Timestamp, to: Timestamp, count: Type.Integer() }),
    }),
  },
  getLatest: {
    ...read,
    path: '/api/v1/metrics/latest',
    summary: 'The newest sample of each instance, or of those that are named',
    query: Type.Object({ instanceIds: Type.Optional(Type.String({ maxLength: 2048 })) }),
    reply: Type.Object({
      metrics: Type.Array(
        Type.Object({
          instanceId: Id,
          timestamp: Timestamp,
          cpuPercent: Type.Number(),
          memUsed: BigText,
          memTotal: BigText,
          memPercent: Type.Number(),
          diskUsed: BigText,
          diskTotal: BigText,
          diskPercent: Type.Number(),
          ...loads,
          ...traffic,
        }),
      ),
      count: Type.Integer(),
    }),
  },
  getInstanceMetrics: {
    ...read,
    path: '/api/v1/instances/{id}/metrics',
    summary: 'Samples of one instance over the last hour, 6 hours, day or week',
    params: ById,
    query: Type.Object(RangeQuery),
    reply: Type.Object({
      instanceId: Id,
      range: OneOf(METRIC_RANGES),
      since: Timestamp,
      datapoints: Type.Array(Type.Object(Datapoint)),
    }),
    faults: ['RES_NOT_FOUND'],
  },
  listProcesses: {
    ...read,
    path: '/api/v1/instances/{id}/processes',
    summary: 'The processes that use most of an instance now, asked of its agent',
    permission: 'instance:read',
    params: ById,
    transaction: 'none',
    reply: Type.Object({
      instance_id: Id,
      timestamp: Timestamp,
      processes: Type.Array(
        Type.Object({
          pid: Type.Integer(),
          name: Type.String(),
          cpu_percent: Type.Number(),
          memory_bytes: Type.Integer(),
          memory_percent: Type.Number(),
          status: Type.String(),
          user: Type.String(),
        }),
      ),
    }),
    faults: ['RES_NOT_FOUND', 'AGENT_OFFLINE', 'AGENT_CAPABILITY_MISSING'],
  },
  listInstanceEvents: {
    ...read,
    path: '/api/v1/instances/{id}/events',
    summary: 'What happened to an instance, newest first',
    permission: 'instance:read',
    params: ById,
    query: Type.Object({ limit: Type.Integer({ minimum: 1, maximum: 100, default: 50 }) }),
    reply: Type.Object({
      instanceId: Id,
      events: Type.Array(
        Type.Object({
          id: Id,
          type: OneOf(EVENT_TYPES),
          timestamp: Timestamp,
          metadata: Nullable(Type.Record(Type.String(), Json)),
        }),
      ),
    }),
    faults: ['RES_NOT_FOUND'],
  },
  listInstanceExtensions: {
    ...read,
    path: '/api/v1/instances/{id}/extensions',
    summary: 'The extensions that an instance was declared with, and what is known of their state',
    permission: 'instance:read',
    params: ById,
    reply: Type.Object({
      instanceId: Id,
      instanceStatus: Status,
      extensions: Type.Array(
        Type.Object({
          name: Type.String(),
          status: OneOf(['healthy', 'degraded', 'installing', 'stalled', 'error', 'unknown']),
          version: Type.Optional(Type.String()),
          lastChecked: Timestamp,
        }),
      ),
    }),
    faults: ['RES_NOT_FOUND'],
  },
})
