import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Json, Nullable, OneOf, Timestamp, Uuid } from '../schemas.ts'
import { ById, ByInstanceId, Csv, LOG_LEVELS, LOG_SOURCES, NullableText, Paging, Window } from './words.ts'

export const Log = Type.Object({
  id: Uuid,
  instanceId: Id,
  level: OneOf(LOG_LEVELS),
  source: OneOf(LOG_SOURCES),
  message: Type.String(),
  metadata: Nullable(Type.Record(Type.String(), Json)),
  deploymentId: NullableText,
  timestamp: Timestamp,
})
export type Log = Static<typeof Log>

export const LogEntry = Type.Object({
  instanceId: Id,
  level: OneOf(LOG_LEVELS),
  source: OneOf(LOG_SOURCES),
  message: Type.String({ minLength: 1, maxLength: 10_000 }),
  metadata: Type.Optional(Type.Record(Type.String({ maxLength: 256 }), Json, { maxProperties: 256 })),
  deploymentId: Type.Optional(Id),
  timestamp: Type.Optional(Timestamp),
})
export type LogEntry = Static<typeof LogEntry>

const Counts = {
  total: Type.Integer(),
  byLevel: Type.Record(Type.String(), Type.Integer()),
  bySource: Type.Record(Type.String(), Type.Integer()),
}

export const LogQuery = Type.Object({
  instanceId: Type.Optional(Id),
  level: Type.Optional(Csv(LOG_LEVELS)),
  source: Type.Optional(Csv(LOG_SOURCES)),
  deploymentId: Type.Optional(Id),
  search: Type.Optional(Type.String({ maxLength: 512 })),
  ...Window,
  ...Paging(500),
})
export type LogQuery = Static<typeof LogQuery>

const read = {
  method: 'GET',
  group: 'Logs',
  permission: 'log:read',
  floor: 'VIEWER',
  rate: 'fleet-default',
} as const

const list = {
  fields: { at: { type: 'time', sort: true } },
  default: '-at',
  pageSize: 50,
  maxPageSize: 500,
  key: 'logs',
} as const

const ingest = {
  method: 'POST',
  group: 'Logs',
  permission: 'log:ingest',
  floor: 'VIEWER',
  rate: 'fleet-ingest',
  creates: true,
  transaction: 'none',
  verb: null,
  faults: ['RES_NOT_FOUND'],
} as const

export const logs = area({
  listLogs: {
    ...read,
    path: '/api/v1/logs',
    summary: 'Log lines of the fleet, newest first; `search` finds words, and parts of words when no whole word fits',
    query: LogQuery,
    list,
    reply: Log,
  },
  getLogStats: {
    ...read,
    path: '/api/v1/logs/stats',
    summary: 'How many lines there are by level, source and instance',
    query: Type.Object(Window),
    reply: Type.Object({
      ...Counts,
      topInstances: Type.Array(Type.Object({ instanceId: Id, count: Type.Integer() })),
      totalLogs: Type.Integer(),
      totalErrors: Type.Integer(),
      totalWarns: Type.Integer(),
      instancesWithErrors: Type.Integer(),
    }),
  },
  streamLogs: {
    ...read,
    kind: 'sse',
    path: '/api/v1/logs/stream',
    summary: 'New lines of the named instances as they come',
    query: Type.Object({ instanceIds: Type.String({ minLength: 1, maxLength: 8192 }) }),
    reply: Log,
  },
  ingestLog: {
    ...ingest,
    path: '/api/v1/logs/ingest',
    summary: 'Store one line',
    body: LogEntry,
    reply: Log,
  },
  ingestLogs: {
    ...ingest,
    path: '/api/v1/logs/ingest/batch',
    summary: 'Store up to 1,000 lines, all or none',
    body: Type.Object({ entries: Type.Array(LogEntry, { minItems: 1, maxItems: 1000 }) }),
    bodyLimitBytes: 16 * 1024 * 1024,
    reply: Type.Object({ count: Type.Integer() }),
  },
  getLog: {
    ...read,
    path: '/api/v1/logs/{id}',
    summary: 'One line',
    params: ById,
    reply: Log,
    faults: ['RES_NOT_FOUND'],
  },
  listInstanceLogs: {
    ...read,
    path: '/api/v1/instances/{instanceId}/logs',
    summary: 'Log lines of one instance, newest first',
    params: ByInstanceId,
    query: LogQuery,
    list,
    reply: Log,
    faults: ['RES_NOT_FOUND'],
  },
  getInstanceLogStats: {
    ...read,
    path: '/api/v1/instances/{instanceId}/logs/stats',
    summary: 'How many lines of one instance there are by level and source',
    params: ByInstanceId,
    query: Type.Object(Window),
    reply: Type.Object({
      instanceId: Id,
      ...Counts,
      errorRate: Type.Number(),
      warnRate: Type.Number(),
      recentErrors: Type.Integer(),
    }),
    faults: ['RES_NOT_FOUND'],
  },
  streamInstanceLogs: {
    ...read,
    kind: 'sse',
    path: '/api/v1/instances/{instanceId}/logs/stream',
    summary: 'New lines of one instance as they come, after a notice that the stream stands',
    params: ByInstanceId,
    reply: Log,
    faults: ['RES_NOT_FOUND'],
  },
})
