import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Timestamp } from '../schemas.ts'

const group = 'Status/stream'

/** jobs.md §4. */
export const status = area({
  status: {
    method: 'GET',
    path: '/api/v1/status',
    group,
    summary: 'The server itself: version, how long it is up, and what it stands on',
    permission: 'authenticated',
    rate: 'jobs-tenant',
    transaction: 'none',
    reply: Type.Object({
      time: Timestamp,
      uptime_seconds: Type.Integer(),
      build: Type.Object({ version: Type.String(), commit: Type.String(), date: Type.String() }),
      nats: Type.Object({ connected: Type.Boolean(), status: Type.String(), url: Type.String() }),
      redis: Type.Object({ ok: Type.Boolean(), error: Type.String() }),
      workers: Type.Object({ count: Type.Integer() }),
    }),
  },
})
