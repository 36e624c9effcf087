import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Labels, Nullable, OneOf, Timestamp } from '../schemas.ts'
import { JOB_WORDS } from './job-output.ts'

const group = 'Bulk'
const Time = Type.Optional(Timestamp)
const Word = (most: number) => Type.Optional(Type.String({ minLength: 1, maxLength: most }))

/** Which jobs. Members are all to be met; at least one must be given. */
export const JobFilter = Type.Object(
  {
    states: Type.Optional(Type.Array(OneOf(JOB_WORDS), { minItems: 1, maxItems: 10 })),
    topic: Word(256),
    traceId: Word(128),
    labels: Type.Optional(Labels),
    reasonCode: Word(200),
    createdAfter: Time,
    createdBefore: Time,
    endedAfter: Time,
    endedBefore: Time,
    ids: Type.Optional(Type.Array(Id, { minItems: 1, maxItems: 500 })),
  },
  { minProperties: 1 },
)
export type JobFilter = Static<typeof JobFilter>

/** Which dead letters. An empty filter is all of them. */
export const DeadLetterFilter = Type.Object({
  topic: Word(256),
  reasonCode: Word(200),
  status: Word(64),
  after: Time,
  before: Time,
  ids: Type.Optional(Type.Array(Id, { minItems: 1, maxItems: 500 })),
})
export type DeadLetterFilter = Static<typeof DeadLetterFilter>

const how = {
  dryRun: Type.Optional(Type.Boolean({ description: 'Only counts; the default is to act' })),
  confirmCount: Type.Optional(
    Type.Integer({
      minimum: 0,
      description: 'The count that the dry run showed; it is refused when it changed by more than a tenth (at least 5)',
    }),
  ),
  reason: Type.Optional(Type.String({ maxLength: 2000 })),
}

export const BULK_VERBS = ['cancel', 'retry', 'replay', 'dead-letter-retry', 'dead-letter-delete'] as const

export const BulkOperation = Type.Object({
  id: Id,
  verb: OneOf(BULK_VERBS),
  state: OneOf(['running', 'done', 'stopped']),
  /** Counted when it began. */
  matched: Type.Integer(),
  done: Type.Integer(),
  skipped: Type.Integer({ description: 'Had ended or changed meanwhile' }),
  failed: Type.Integer(),
  lastError: Nullable(Type.String()),
  reason: Type.String(),
  startedBy: Type.String(),
  createdAt: Timestamp,
  updatedAt: Timestamp,
})
export type BulkOperation = Static<typeof BulkOperation>

/** A dry run has `count`, `byState` and `examples`; an execution the operation that now runs. */
const reply = Type.Object({
  dryRun: Type.Boolean(),
  count: Type.Integer(),
  groups: Type.Array(Type.Object({ name: Type.String(), count: Type.Integer() })),
  examples: Type.Array(Type.String(), { description: 'Ids of up to ten' }),
  operation: Nullable(BulkOperation),
})

const act = (noun: 'jobs' | 'dlq', verb: string, permission: `${string}:${string}`, summary: string) =>
  ({
    method: 'POST',
    path: `/wheelhouse/api/v1/${noun}/bulk/${verb}`,
    group,
    summary,
    permission,
    verb: `${noun === 'jobs' ? 'job' : 'dlq'}.bulk-${verb}`,
    rate: 'native',
    transaction: 'none',
    reply,
    faults: ['RES_CONFLICT', 'VAL_REQUIRED'],
  }) as const

const params = Type.Object({ id: Id })

/**
 * One act on many jobs: a dry run counts, the execution is confirmed with that count (required from 100 on), goes in batches, survives
 * restarts and stands in the audit trail.
 */
export const bulk = area({
  cancelJobs: {
    ...act('jobs', 'cancel', 'job:cancel', 'Cancels all jobs of a filter that have not ended'),
    body: Type.Object({ filter: JobFilter, ...how }),
  },
  retryJobs: {
    ...act('jobs', 'retry', 'job:submit', 'Submits jobs of a filter that ended without success again'),
    body: Type.Object({ filter: JobFilter, ...how }),
  },
  replayJobs: {
    ...act('jobs', 'replay', 'job:submit', 'Submits jobs of a filter that have ended, however, once more'),
    body: Type.Object({ filter: JobFilter, ...how }),
  },
  retryDeadLetters: {
    ...act('dlq', 'retry', 'dlq:write', 'Submits the jobs of dead letters again and removes the letters'),
    body: Type.Object({ filter: DeadLetterFilter, ...how }),
  },
  deleteDeadLetters: {
    ...act('dlq', 'delete', 'dlq:write', 'Removes dead letters; the jobs stay'),
    body: Type.Object({ filter: DeadLetterFilter, ...how }),
  },
  listBulk: {
    method: 'GET',
    path: '/wheelhouse/api/v1/bulk',
    group,
    summary: 'Bulk operations, newest first',
    permission: 'job:read',
    rate: 'native',
    list: {
      fields: {
        verb: { type: 'text', filter: true },
        state: { type: 'text', filter: true },
        createdAt: { type: 'time', sort: true, filter: true },
      },
      default: '-createdAt',
    },
    reply: BulkOperation,
  },
  getBulk: {
    method: 'GET',
    path: '/wheelhouse/api/v1/bulk/{id}',
    group,
    summary: 'How far a bulk operation is',
    permission: 'job:read',
    rate: 'native',
    params,
    reply: BulkOperation,
    faults: ['RES_NOT_FOUND'],
  },
  stopBulk: {
    method: 'POST',
    path: '/wheelhouse/api/v1/bulk/{id}/stop',
    group,
    summary: 'Ends a bulk operation after the batch under way; what is done stays done',
    permission: 'job:cancel',
    verb: 'bulk.stop',
    rate: 'native',
    params,
    reply: BulkOperation,
    faults: ['RES_NOT_FOUND'],
  },
})
