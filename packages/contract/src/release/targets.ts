import { type Static, Type, type TSchema } from 'typebox'
import { area } from '../endpoint.ts'
import { OneOf, Timestamp, Uuid } from '../schemas.ts'
import { AnyOf, CurrentRelease, Deleted, DisplayName, HealthCheck, Name, orNull, TargetLabels } from './shapes.ts'

/** Families of the reference; spelling of release.md §6.3. */
export const TARGET_TYPES = [
  'docker_host',
  'compose_host',
  'ecs_service',
  'nomad_job',
  'ssh_host',
  'winrm_host',
  'memory',
] as const
export type TargetType = (typeof TARGET_TYPES)[number]

export const HEALTH_STATUSES = ['healthy', 'degraded', 'unhealthy', 'unknown'] as const
export type HealthStatus = (typeof HEALTH_STATUSES)[number]

const text = (maxLength: number, rest: object = {}) => Type.String({ minLength: 1, maxLength, ...rest })
const host = text(255, { pattern: '^[A-Za-z0-9_.:%-]+$' })
const port = (value: number) => Type.Integer({ minimum: 1, maximum: 65_535, default: value })
/** A reference to a secret, or the secret itself, which is then kept sealed. Reads back masked. */
const secret = text(16_384)

/** How a place of each type is reached (release.md §6.3). */
export const CONNECTIONS = {
  docker_host: Type.Object({
    endpoint: text(2048, { pattern: '^(tcp|https?|unix|ssh|npipe)://\\S+$' }),
    tls: Type.Optional(
      Type.Object({
        verify: Type.Optional(Type.Boolean()),
        ca: Type.Optional(text(65_536)),
        cert: Type.Optional(text(65_536)),
        keyRef: Type.Optional(secret),
      }),
    ),
    apiVersion: Type.Optional(text(10, { pattern: '^[0-9]+\\.[0-9]+$' })),
  }),
  compose_host: Type.Object({
    projectDirectory: text(4096),
    projectName: Type.Optional(text(255)),
    composeFile: Type.String({ minLength: 1, maxLength: 255, default: 'compose.stella.lock.yml' }),
  }),
  ecs_service: Type.Object({ region: text(64), cluster: text(255), service: text(255) }),
  nomad_job: Type.Object({
    address: text(2048, { pattern: '^https?://\\S+$' }),
    namespace: Type.String({ minLength: 1, maxLength: 128, default: 'default' }),
    job: text(255),
  }),
  ssh_host: Type.Object({
    host,
    port: port(22),
    username: text(255),
    privateKeyRef: secret,
    connectionTimeout: Type.Integer({ minimum: 1, maximum: 600, default: 30 }),
    sudo: Type.Boolean({ default: false }),
    hostKeyFingerprint: Type.Optional(text(255)),
  }),
  winrm_host: Type.Object({
    host,
    port: port(5986),
    useTls: Type.Boolean({ default: true }),
    username: text(255),
    passwordRef: secret,
    authType: OneOf(['ntlm', 'kerberos', 'basic']),
  }),
  memory: Type.Object({}),
} as const satisfies Record<TargetType, TSchema>

export type Connection<T extends TargetType> = Static<(typeof CONNECTIONS)[T]>

/** Members of a connection that hold secrets, by their path. */
export const CONNECTION_SECRETS: Readonly<Record<TargetType, readonly string[]>> = {
  docker_host: ['tls.keyRef'],
  compose_host: [],
  ecs_service: [],
  nomad_job: [],
  ssh_host: ['privateKeyRef'],
  winrm_host: ['passwordRef'],
  memory: [],
}

/** What an agent must be able to do to serve a target of the type; nothing where the server itself does it all. */
export const TARGET_CAPABILITY: Readonly<Record<TargetType, string | undefined>> = {
  docker_host: 'docker',
  compose_host: 'compose',
  ecs_service: 'ecs',
  nomad_job: 'nomad',
  ssh_host: 'ssh',
  winrm_host: 'winrm',
  memory: undefined,
}

const healthStatus = OneOf(HEALTH_STATUSES)
const connection = Type.Record(Type.String(), Type.Unknown(), { maxProperties: 20 })

const members = {
  id: Uuid,
  tenantId: Uuid,
  environmentId: Uuid,
  targetGroupId: orNull(Uuid),
  name: Name,
  displayName: Type.Optional(DisplayName),
  type: OneOf(TARGET_TYPES),
  connection,
  capabilities: Type.Array(Type.String()),
  labels: TargetLabels,
  agentId: orNull(Uuid),
  healthCheck: Type.Optional(HealthCheck),
  healthStatus,
  lastHealthCheck: orNull(Timestamp),
  lastHealthMessage: orNull(Type.String()),
  maintenance: Type.Boolean(),
  currentRelease: CurrentRelease,
  lastSyncAt: orNull(Timestamp),
  createdAt: Timestamp,
  updatedAt: Timestamp,
  version: Type.Integer(),
}

export const Target = Type.Object(members)
export type Target = Static<typeof Target>

/** What a health check found (release.md §6.3). Times are null only while the check waits for an approval. */
export const HealthReport = Type.Object({
  targetId: Uuid,
  status: healthStatus,
  checkedAt: orNull(Timestamp),
  latencyMs: orNull(Type.Number()),
  checks: Type.Array(Type.Object({ name: Type.String(), ok: Type.Boolean(), message: Type.Optional(Type.String()) })),
  agent: Type.Optional(Type.Object({ id: Uuid, status: OneOf(['online', 'degraded', 'offline']) })),
})
export type HealthReport = Static<typeof HealthReport>

const group = 'Environment & Inventory'
const params = Type.Object({ id: Uuid })
const readFaults = ['RES_NOT_FOUND', 'PERM_ENVIRONMENT_SCOPE'] as const
const agentFaults = ['AGT_CAPABILITY_MISSING', 'AGT_NOT_ACTIVE'] as const

/** release.md §6.3. */
export const targets = area({
  create: {
    method: 'POST',
    path: '/api/v1/targets',
    group,
    summary: 'Register a deployment target',
    permission: 'target:create',
    rate: 'release-standard',
    creates: true,
    idempotency: 'edge',
    body: Type.Object({
      environmentId: Uuid,
      name: Name,
      displayName: Type.Optional(DisplayName),
      type: OneOf(TARGET_TYPES),
      connection,
      labels: Type.Unsafe<Record<string, string>>({ ...TargetLabels, default: {} }),
      targetGroupId: Type.Optional(orNull(Uuid)),
      agentId: Type.Optional(orNull(Uuid)),
      healthCheck: Type.Optional(HealthCheck),
    }),
    reply: Target,
    faults: ['RES_DUPLICATE_NAME', 'PERM_ENVIRONMENT_SCOPE', ...agentFaults],
  },
  list: {
    method: 'GET',
    path: '/api/v1/targets',
    group,
    summary: 'List targets',
    permission: 'target:read',
    rate: 'release-standard',
    query: Type.Object({
      environmentId: Type.Optional(AnyOf),
      type: Type.Optional(AnyOf),
      healthStatus: Type.Optional(AnyOf),
      agentId: Type.Optional(AnyOf),
      label: Type.Optional(AnyOf),
    }),
    reply: Target,
    list: {
      fields: {
        id: { type: 'uuid', sort: true, filter: true },
        tenantId: { type: 'uuid', sort: true, filter: true },
        environmentId: { type: 'uuid', sort: true, filter: true },
        targetGroupId: { type: 'uuid', sort: true, filter: true, nullable: true },
        name: { type: 'text', sort: true, filter: true },
        displayName: { type: 'text', sort: true, filter: true, nullable: true },
        type: { type: 'text', sort: true, filter: true },
        agentId: { type: 'uuid', sort: true, filter: true, nullable: true },
        healthStatus: { type: 'text', sort: true, filter: true },
        lastHealthCheck: { type: 'time', sort: true, filter: true, nullable: true },
        lastHealthMessage: { type: 'text', sort: true, filter: true, nullable: true },
        maintenance: { type: 'boolean', sort: true, filter: true },
        lastSyncAt: { type: 'time', sort: true, filter: true, nullable: true },
        createdAt: { type: 'time', sort: true, filter: true },
        updatedAt: { type: 'time', sort: true, filter: true },
        version: { type: 'number', sort: true, filter: true },
        labels: { type: 'map', sort: true, filter: true, nullable: true },
      },
      default: 'name',
    },
  },
  get: {
    method: 'GET',
    path: '/api/v1/targets/{id}',
    group,
    summary: 'Read one target',
    permission: 'target:read',
    rate: 'release-standard',
    params,
    reply: Type.Object({
      ...members,
      sticker: Type.Null(),
      driftStatus: OneOf(['in_sync', 'drifted', 'unknown']),
    }),
    faults: readFaults,
  },
  update: {
    method: 'PUT',
    path: '/api/v1/targets/{id}',
    group,
    summary: 'Update a target',
    permission: 'target:update',
    rate: 'release-standard',
    params,
    body: Type.Object({
      name: Type.Optional(Name),
      displayName: Type.Optional(orNull(DisplayName)),
      connection: Type.Optional(connection),
      labels: Type.Optional(TargetLabels),
      targetGroupId: Type.Optional(orNull(Uuid)),
      agentId: Type.Optional(orNull(Uuid)),
      healthCheck: Type.Optional(orNull(HealthCheck)),
      maintenance: Type.Optional(Type.Boolean()),
      // Known, so that changing them is refused as what it is.
      type: Type.Optional(OneOf(TARGET_TYPES)),
      environmentId: Type.Optional(Uuid),
    }),
    reply: Target,
    faults: [
      ...readFaults,
      ...agentFaults,
      'RES_VERSION_CONFLICT',
      'RES_DUPLICATE_NAME',
      'VAL_IMMUTABLE_FIELD',
      'DEPLOY_IN_PROGRESS',
    ],
  },
  remove: {
    method: 'DELETE',
    path: '/api/v1/targets/{id}',
    group,
    summary: 'Unregister a target',
    permission: 'target:delete',
    rate: 'release-standard',
    params,
    reply: Deleted,
    faults: [...readFaults, 'RES_VERSION_CONFLICT', 'DEPLOY_IN_PROGRESS'],
  },
  healthCheck: {
    method: 'POST',
    path: '/api/v1/targets/{id}/health-check',
    group,
    summary: 'Run a health check now',
    permission: 'target:execute',
    rate: 'release-standard',
    transaction: 'none',
    idempotency: 'edge',
    params,
    body: Type.Object({ timeout: Type.Integer({ minimum: 1, maximum: 300, default: 30 }) }),
    reply: Type.Object({
      ...HealthReport.properties,
      jobId: Type.Optional(Type.String()),
      approvalRequired: Type.Optional(Type.Literal(true)),
    }),
    faults: [...readFaults, 'AGT_OFFLINE', 'POLICY_DENIED', 'POLICY_THROTTLED'],
  },
})
