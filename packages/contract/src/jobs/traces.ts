import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { TraceRecord } from './shapes.ts'

/** jobs.md §6. */
export const traces = area({
  getTrace: {
    method: 'GET',
    path: '/api/v1/traces/{id}',
    group: 'Traces',
    summary: 'The jobs of one trace in the order of their making',
    permission: 'trace:read',
    rate: 'jobs-tenant',
    params: Type.Object({ id: Type.String({ minLength: 1, maxLength: 256 }) }),
    reply: Type.Array(TraceRecord),
  },
})
