import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Json, OneOf, Timestamp } from '../schemas.ts'
import { Text } from './shapes.ts'

const group = 'Config'

/** In the order in which later ones win (jobs.md §22). */
export const CONFIG_SCOPES = ['system', 'org', 'team', 'workflow', 'step'] as const
export type ConfigScope = (typeof CONFIG_SCOPES)[number]

const Data = Type.Record(Type.String({ maxLength: 256 }), Json)
const Meta = Type.Record(Type.String({ maxLength: 128 }), Text(1024))

/** jobs.md §11. */
export const ConfigDocument = Type.Object({
  scope: OneOf(CONFIG_SCOPES),
  scope_id: Type.String(),
  data: Data,
  revision: Type.Integer({ minimum: 1 }),
  updated_at: Timestamp,
  meta: Type.Optional(Meta),
})
export type ConfigDocument = Static<typeof ConfigDocument>

/** jobs.md §11 and §22. */
export const config = area({
  getConfig: {
    method: 'GET',
    path: '/api/v1/config',
    group,
    summary: 'One configuration document; the scope `system` needs `config:inspect`',
    permission: 'config:read',
    rate: 'jobs-tenant',
    query: Type.Object({
      scope: Type.Optional(Text(32)),
      scope_id: Type.Optional(Text(256)),
    }),
    reply: ConfigDocument,
    faults: ['RES_NOT_FOUND', 'PERM_TENANT', 'PERM_DENIED'],
  },
  putConfig: {
    method: 'POST',
    path: '/api/v1/config',
    group,
    summary: 'Replaces one configuration document; `If-Match` takes the revision that is to be replaced',
    permission: 'config:write',
    rate: 'jobs-tenant',
    // What the write makes valid is in force before it is answered, so the transaction ends inside the handler.
    transaction: 'none',
    status: 204,
    verbatim: ['data'],
    body: Type.Object({
      scope: Type.Optional(Text(32)),
      scope_id: Type.Optional(Text(256)),
      data: Type.Optional(Data),
      meta: Type.Optional(Meta),
    }),
    reply: Type.Object({}),
    faults: ['VAL_SCHEMA', 'CONFIG_CONFLICT', 'PERM_TENANT'],
  },
  effectiveConfig: {
    method: 'GET',
    path: '/api/v1/config/effective',
    group,
    summary: 'What is in force for a tenant, team, workflow and step, with its version and hash',
    permission: 'config:read',
    rate: 'jobs-tenant',
    transaction: 'none',
    query: Type.Object({
      org_id: Type.Optional(Text(128)),
      team_id: Type.Optional(Text(128)),
      workflow_id: Type.Optional(Text(128)),
      step_id: Type.Optional(Text(128)),
    }),
    reply: Type.Object({ version: Type.String(), hash: Type.String(), data: Data }),
    faults: ['PERM_TENANT'],
  },
})
