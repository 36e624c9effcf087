import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Nullable, OneOf, Timestamp } from '../schemas.ts'
import {
  BigText,
  ById,
  DISTROS,
  INSTANCE_STATUSES,
  NullableText,
  NullableTime,
  Paging,
  PROVIDERS,
  Status,
} from './words.ts'

export const Heartbeat = Type.Object({
  cpuPercent: Type.Number(),
  memoryUsedBytes: BigText,
  memoryTotalBytes: BigText,
  diskUsedBytes: BigText,
  diskTotalBytes: BigText,
  uptimeSeconds: BigText,
  timestamp: Timestamp,
})
export type Heartbeat = Static<typeof Heartbeat>

export const Instance = Type.Object({
  id: Id,
  name: Type.String(),
  provider: Type.String(),
  region: NullableText,
  distro: NullableText,
  extensions: Type.Array(Type.String()),
  configHash: NullableText,
  sshEndpoint: NullableText,
  status: Status,
  createdAt: Timestamp,
  updatedAt: Timestamp,
  // What the agent said of itself, which the document wishes for (fleet.md §3.2, last note).
  hostname: NullableText,
  agentVersion: NullableText,
  os: NullableText,
  arch: NullableText,
  tags: Type.Record(Type.String(), Type.String()),
  teamId: NullableText,
})
export type Instance = Static<typeof Instance>

const Detail = Type.Intersect([Instance, Type.Object({ lastHeartbeat: Nullable(Heartbeat) })])

const Tags = Type.Record(Type.String({ maxLength: 128 }), Type.String({ maxLength: 1024 }), { maxProperties: 128 })

/**
 * Both accepted forms at once (fleet.md §2): the console's (`name`, checked provider and pattern) and the agent's (`instance_id`,
 * lenient provider). Which rules hold follows from which of the two members is there.
 */
export const Registration = Type.Object({
  name: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  provider: Type.Optional(Type.String({ maxLength: 32 })),
  region: Type.Optional(Type.String({ maxLength: 64 })),
  distro: Type.Optional(Type.String({ maxLength: 32 })),
  extensions: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 128 }), { maxItems: 200 })),
  configHash: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
  sshEndpoint: Type.Optional(Type.String({ maxLength: 256 })),
  tags: Type.Optional(Tags),
  geo: Type.Optional(
    Type.Object({
      lat: Type.Optional(Type.Number({ minimum: -90, maximum: 90 })),
      lon: Type.Optional(Type.Number({ minimum: -180, maximum: 180 })),
      city: Type.Optional(Type.String({ maxLength: 128 })),
      source: Type.Optional(Type.String({ maxLength: 32 })),
    }),
  ),
  instance_id: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  hostname: Type.Optional(Type.String({ maxLength: 256 })),
  agent_version: Type.Optional(Type.String({ maxLength: 64 })),
  os: Type.Optional(Type.String({ maxLength: 32 })),
  arch: Type.Optional(Type.String({ maxLength: 32 })),
  timestamp: Type.Optional(Type.String({ maxLength: 64 })),
})
export type Registration = Static<typeof Registration>

const registration = {
  method: 'POST',
  group: 'Instances',
  permission: 'instance:register',
  floor: 'VIEWER',
  rate: 'fleet-agent',
  body: Registration,
  reply: Instance,
  creates: true,
  faults: ['RES_DUPLICATE_NAME'],
} as const

export const instances = area({
  registerInstance: {
    ...registration,
    path: '/api/v1/instances',
    summary: 'Register an instance, or refresh one that is known; takes the form of consoles and that of agents',
  },
  registerInstanceAlias: {
    ...registration,
    path: '/api/v1/instances/register',
    summary: 'The same under the path that agent documents name (fleet.md §3.16)',
    beyondDocument: true,
  },
  listInstances: {
    method: 'GET',
    path: '/api/v1/instances',
    group: 'Instances',
    summary: 'Instances that the caller may see, newest first',
    permission: 'instance:read',
    floor: 'VIEWER',
    rate: 'fleet-default',
    query: Type.Object({
      provider: Type.Optional(OneOf(PROVIDERS)),
      status: Type.Optional(OneOf(INSTANCE_STATUSES)),
      region: Type.Optional(Type.String({ maxLength: 64 })),
      distro: Type.Optional(OneOf(DISTROS)),
      search: Type.Optional(Type.String({ maxLength: 128 })),
      ...Paging(100),
    }),
    list: {
      fields: { createdAt: { type: 'time', sort: true } },
      default: '-createdAt',
      pageSize: 20,
      maxPageSize: 100,
      key: 'instances',
    },
    reply: Detail,
  },
  getInstance: {
    method: 'GET',
    path: '/api/v1/instances/{id}',
    group: 'Instances',
    summary: 'One instance with its last heartbeat',
    permission: 'instance:read',
    floor: 'VIEWER',
    rate: 'fleet-default',
    params: ById,
    reply: Detail,
    faults: ['RES_NOT_FOUND'],
  },
  deleteInstance: {
    method: 'DELETE',
    path: '/api/v1/instances/{id}',
    group: 'Instances',
    summary: 'Deregister an instance; with `backupVolume` or `destroy=true`, tear it down with its provider',
    permission: 'instance:delete',
    floor: 'OPERATOR',
    rate: 'fleet-strict',
    params: ById,
    query: Type.Object({ destroy: Type.Optional(Type.Boolean()) }),
    body: Type.Object({
      backupVolume: Type.Optional(Type.Boolean()),
      backupLabel: Type.Optional(Type.String({ maxLength: 128 })),
    }),
    reply: Type.Object({
      message: Type.String(),
      id: Id,
      name: Type.String(),
      status: Type.Optional(Status),
      backupId: Type.Optional(NullableText),
    }),
    faults: ['RES_NOT_FOUND', 'INSTANCE_STATE', 'PROVIDER_DRIVER_MISSING'],
  },
  getInstanceConfig: {
    method: 'GET',
    path: '/api/v1/instances/{id}/config',
    group: 'Instances',
    summary: 'The configuration of an instance as YAML, rebuilt from what is stored of it',
    permission: 'instance:read',
    floor: 'VIEWER',
    rate: 'fleet-default',
    params: ById,
    reply: Type.Object({
      instanceId: Id,
      name: Type.String(),
      config: Type.String(),
      configHash: NullableText,
      updatedAt: NullableTime,
    }),
    faults: ['RES_NOT_FOUND'],
    beyondDocument: true,
  },
})
