import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Json, OneOf } from '../schemas.ts'
import { Text } from './shapes.ts'

const group = 'Memory'

/** jobs.md §16: what stands behind a pointer. */
export const memory = area({
  readMemory: {
    method: 'GET',
    path: '/api/v1/memory',
    group,
    summary: 'The value behind a context, result or memory pointer',
    permission: 'memory:read',
    rate: 'jobs-tenant',
    query: Type.Object({ ptr: Type.Optional(Text(512)), key: Type.Optional(Text(512)) }),
    reply: Type.Object({
      pointer: Type.String(),
      key: Type.String(),
      kind: OneOf(['context', 'result', 'memory']),
      size_bytes: Type.Integer(),
      base64: Type.String(),
      text: Type.Optional(Type.String()),
      json: Type.Optional(Json),
    }),
    faults: ['RES_NOT_FOUND'],
  },
  writeMemory: {
    method: 'PUT',
    path: '/api/v1/memory',
    group,
    summary: 'Stores a job’s result or a memory value under its pointer, for workers that have no store of their own',
    permission: 'worker:connect',
    rate: 'jobs-tenant',
    verb: 'memory.write',
    bodyLimitBytes: 2 * 1024 * 1024,
    query: Type.Object({ ptr: Type.Optional(Text(512)), key: Type.Optional(Text(512)) }),
    body: Json,
    reply: Type.Object({ pointer: Type.String(), size_bytes: Type.Integer() }),
    faults: ['JOB_NOT_FOUND', 'RES_CONFLICT'],
    beyondDocument: true,
  },
})
