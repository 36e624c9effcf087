import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Json, Timestamp } from '../schemas.ts'
import { Limit, Text } from './shapes.ts'

const group = 'Schemas'
/** Ids carry slashes (`pack/Name`), which clients send encoded or raw (jobs.md §1.6, fix). */
const Id = Type.Object({ id: Type.String({ minLength: 1, maxLength: 256 }) })
const Document = Type.Union([Type.Record(Type.String(), Json), Type.Boolean()])

/** jobs.md §12 and §23. */
export const schemas = area({
  putSchema: {
    method: 'POST',
    path: '/api/v1/schemas',
    group,
    summary: 'Registers a JSON Schema, or replaces it; it must compile',
    permission: 'schema:write',
    rate: 'jobs-tenant',
    status: 204,
    verbatim: ['schema'],
    body: Type.Object({ id: Type.Optional(Text(256)), schema: Type.Optional(Json) }),
    reply: Type.Object({}),
    faults: ['VAL_SCHEMA'],
  },
  listSchemas: {
    method: 'GET',
    path: '/api/v1/schemas',
    group,
    summary: 'Registered schemas, the newest first',
    permission: 'schema:read',
    rate: 'jobs-tenant',
    query: Type.Object({ limit: Type.Optional(Limit(100)) }),
    reply: Type.Object({
      schemas: Type.Array(Type.String()),
      items: Type.Array(Type.Object({ id: Type.String(), sha256: Type.String(), updated_at: Timestamp })),
    }),
  },
  getSchema: {
    method: 'GET',
    path: '/api/v1/schemas/{id}',
    group,
    summary: 'One registered schema',
    permission: 'schema:read',
    rate: 'jobs-tenant',
    params: Id,
    reply: Type.Object({ id: Type.String(), schema: Document }),
    faults: ['RES_NOT_FOUND'],
  },
  deleteSchema: {
    method: 'DELETE',
    path: '/api/v1/schemas/{id}',
    group,
    summary: 'Removes a schema; also answers so when there is none',
    permission: 'schema:delete',
    rate: 'jobs-tenant',
    status: 204,
    params: Id,
    reply: Type.Object({}),
  },
})
