import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Labels, Timestamp } from '../schemas.ts'

const Load = Type.Optional(Type.Number())
const Whole = Type.Optional(Type.Integer())
const Word = Type.Optional(Type.String())

/** jobs.md §16 with what its pools page reads besides; zero values are left out. */
export const WorkerHeartbeat = Type.Object({
  worker_id: Type.String(),
  region: Word,
  type: Word,
  cpu_load: Load,
  gpu_utilization: Load,
  active_jobs: Whole,
  capabilities: Type.Optional(Type.Array(Type.String())),
  pool: Word,
  max_parallel_jobs: Whole,
  labels: Type.Optional(Labels),
  updated_at: Timestamp,
  topic: Word,
  // Beyond the document: what the platform itself knows of it.
  in_flight: Whole,
  draining: Type.Optional(Type.Boolean()),
})

export const workers = area({
  listWorkers: {
    method: 'GET',
    path: '/api/v1/workers',
    group: 'Workers',
    summary: 'Workers that were heard of within the last 30 seconds',
    permission: 'worker:read',
    rate: 'jobs-tenant',
    transaction: 'none',
    reply: Type.Array(WorkerHeartbeat),
    beyondDocument: true,
  },
})
