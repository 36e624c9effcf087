import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Nullable, Timestamp } from '../schemas.ts'
import { Limit, Moment, Text } from './shapes.ts'

const group = 'Dead letters'
const params = Type.Object({ job_id: Id })

/** jobs.md §16. */
export const DlqEntry = Type.Object({
  job_id: Type.String(),
  topic: Type.Optional(Type.String()),
  status: Type.Optional(Type.String()),
  reason: Type.Optional(Type.String()),
  reason_code: Type.Optional(Type.String()),
  last_state: Type.Optional(Type.String()),
  attempts: Type.Optional(Type.Integer()),
  created_at: Timestamp,
})

/** Beyond the document: which entries. */
const only = { reason_code: Type.Optional(Text(200)), topic: Type.Optional(Text(256)) }

export const dlq = area({
  listDeadLetters: {
    method: 'GET',
    path: '/api/v1/dlq',
    group,
    summary: 'Jobs that ended without success, newest first',
    permission: 'dlq:read',
    rate: 'jobs-tenant',
    query: Type.Object({ limit: Limit(100), ...only }),
    reply: Type.Array(DlqEntry),
  },
  pageDeadLetters: {
    method: 'GET',
    path: '/api/v1/dlq/page',
    group,
    summary: 'The same in pages; a cursor is the time of the last entry, told apart to the microsecond',
    permission: 'dlq:read',
    rate: 'jobs-tenant',
    query: Type.Object({ limit: Limit(100), cursor: Type.Optional(Moment), ...only }),
    reply: Type.Object({ items: Type.Array(DlqEntry), next_cursor: Nullable(Type.Integer()) }),
  },
  deleteDeadLetter: {
    method: 'DELETE',
    path: '/api/v1/dlq/{job_id}',
    group,
    summary: 'Removes an entry; the job itself stays',
    permission: 'dlq:write',
    verb: 'dlq.delete',
    rate: 'jobs-tenant',
    status: 204,
    params,
    reply: Type.Null(),
  },
  retryDeadLetter: {
    method: 'POST',
    path: '/api/v1/dlq/{job_id}/retry',
    group,
    summary: 'Submits the job again as it was, under a new id; policy decides anew',
    permission: 'dlq:write',
    verb: 'dlq.retry',
    rate: 'jobs-tenant',
    transaction: 'none',
    params,
    reply: Type.Object({ job_id: Type.String() }),
    faults: ['RES_NOT_FOUND', 'RES_CONFLICT'],
  },
})
