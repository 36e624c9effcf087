import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Empty, Id } from '../schemas.ts'

const group = 'Status/stream'

/** jobs.md §4 and §19: sockets on which the server alone speaks. */
export const stream = area({
  streamEvents: {
    kind: 'ws',
    method: 'GET',
    path: '/api/v1/stream',
    group,
    summary: 'What happens to the tenant’s jobs and workers, as it happens',
    permission: 'event:read',
    rate: 'jobs-tenant',
    reply: Empty,
  },
  streamJob: {
    kind: 'ws',
    method: 'GET',
    path: '/api/v1/jobs/{id}/stream',
    group,
    summary: 'What happens to one job, as it happens',
    permission: 'job:read',
    rate: 'jobs-tenant',
    params: Type.Object({ id: Id }),
    reply: Empty,
    faults: ['JOB_NOT_FOUND'],
  },
})
