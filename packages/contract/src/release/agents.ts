import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { OneOf, Timestamp, Uuid } from '../schemas.ts'
import { AnyOf, Deleted, Name, orNull, TargetLabels } from './shapes.ts'

export const AGENT_STATUSES = ['online', 'degraded', 'offline'] as const
export type AgentStatus = (typeof AGENT_STATUSES)[number]
export const AGENT_STATES = ['active', 'inactive', 'revoked'] as const

const percent = Type.Number({ minimum: 0, maximum: 100 })
const Resources = Type.Object({ cpuPercent: percent, memoryPercent: percent, diskPercent: percent })
const capability = Type.String({ pattern: '^[a-z0-9][a-z0-9._:-]{0,63}$' })
const capabilities = Type.Array(capability, { minItems: 1, maxItems: 64, uniqueItems: true })
const version = Type.String({ minLength: 1, maxLength: 64 })
const pem = Type.String({ minLength: 1, maxLength: 16_384 })
const maxConcurrentTasks = Type.Integer({ minimum: 1, maximum: 64 })

const Host = Type.Object({
  os: Type.Optional(Type.String({ maxLength: 128 })),
  arch: Type.Optional(Type.String({ maxLength: 64 })),
  hostname: Type.Optional(Type.String({ maxLength: 255 })),
  dockerVersion: Type.Optional(Type.String({ maxLength: 64 })),
})

/** How an agent is asked to behave (release.md §6.4). */
export const AgentConfig = Type.Object({
  heartbeatInterval: Type.Integer({ minimum: 5, maximum: 300 }),
  taskPollInterval: Type.Integer({ minimum: 1, maximum: 60 }),
  logLevel: OneOf(['debug', 'info', 'warn', 'error']),
})
export type AgentConfig = Static<typeof AgentConfig>

export const DEFAULT_AGENT_CONFIG: AgentConfig = { heartbeatInterval: 30, taskPollInterval: 5, logLevel: 'info' }

const members = {
  id: Uuid,
  tenantId: Uuid,
  name: Type.String(),
  /** Of the agent's software; the row's own is `rowVersion`, the ETag. */
  version: Type.String(),
  status: OneOf(AGENT_STATUSES),
  state: OneOf(AGENT_STATES),
  capabilities: Type.Array(Type.String()),
  labels: Type.Record(Type.String(), Type.String()),
  lastHeartbeatAt: orNull(Timestamp),
  resources: Type.Optional(Type.Partial(Resources)),
  runningTasks: Type.Integer(),
  maxConcurrentTasks: Type.Integer(),
  certificate: orNull(
    Type.Object({ serial: Type.String(), notBefore: Timestamp, expiresAt: Timestamp, fingerprint: Type.String() }),
  ),
  host: Type.Optional(Host),
  registeredAt: Timestamp,
  rowVersion: Type.Integer(),
}

export const ReleaseAgent = Type.Object(members)
export type ReleaseAgent = Static<typeof ReleaseAgent>

const Certificate = Type.Object({
  cert: Type.String(),
  /** Null when the agent made its own key and sent a request for it. */
  key: orNull(Type.String()),
  ca: Type.String(),
  expiresAt: Timestamp,
})
export type Certificate = Static<typeof Certificate>

const TaskResult = Type.Object({
  taskId: Uuid,
  success: Type.Boolean(),
  startedAt: Timestamp,
  completedAt: Timestamp,
  outputs: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { maxProperties: 100 })),
  artifacts: Type.Optional(Type.Array(Type.Record(Type.String(), Type.Unknown()), { maxItems: 100 })),
  error: Type.Optional(Type.String({ maxLength: 10_000 })),
  errorType: Type.Optional(Type.String({ maxLength: 100 })),
  retriable: Type.Optional(Type.Boolean()),
  logs: Type.String({ maxLength: 500_000 }),
  metrics: Type.Object({
    pullDurationMs: Type.Optional(Type.Number({ minimum: 0 })),
    deployDurationMs: Type.Optional(Type.Number({ minimum: 0 })),
    healthCheckDurationMs: Type.Optional(Type.Number({ minimum: 0 })),
  }),
  receiptSignature: Type.Optional(Type.String({ maxLength: 4096 })),
})

const group = 'Environment & Inventory'
const params = Type.Object({ id: Uuid })

/** release.md §6.4. */
export const agents = area({
  register: {
    method: 'POST',
    path: '/api/v1/agents/register',
    group,
    summary: 'Register an agent with a one-time token',
    // The header X-Agent-Token (or X-Registration-Token) is the credential; it is of no use twice.
    permission: 'public',
    rate: 'release-auth',
    creates: true,
    verb: null,
    body: Type.Object({
      name: Name,
      version,
      capabilities,
      labels: Type.Unsafe<Record<string, string>>({ ...TargetLabels, default: {} }),
      csr: Type.Optional(pem),
      host: Type.Optional(Host),
      maxConcurrentTasks: Type.Integer({ minimum: 1, maximum: 64, default: 4 }),
    }),
    reply: Type.Object({
      agentId: Uuid,
      token: Type.String(),
      config: AgentConfig,
      certificate: Certificate,
    }),
    faults: ['AGT_TOKEN_INVALID', 'AGT_TOKEN_EXPIRED', 'AGT_TOKEN_USED', 'RES_DUPLICATE_NAME'],
  },
  list: {
    method: 'GET',
    path: '/api/v1/agents',
    group,
    summary: 'List agents',
    permission: 'agent:read',
    rate: 'release-standard',
    query: Type.Object({
      status: Type.Optional(AnyOf),
      capability: Type.Optional(AnyOf),
      label: Type.Optional(AnyOf),
      state: Type.Optional(AnyOf),
    }),
    reply: ReleaseAgent,
    list: {
      fields: {
        id: { type: 'uuid', sort: true, filter: true },
        tenantId: { type: 'uuid', sort: true, filter: true },
        name: { type: 'text', sort: true, filter: true },
        version: { type: 'text', sort: true, filter: true },
        status: { type: 'text', sort: true, filter: true },
        state: { type: 'text', sort: true, filter: true },
        lastHeartbeatAt: { type: 'time', sort: true, filter: true, nullable: true },
        runningTasks: { type: 'number', sort: true, filter: true },
        maxConcurrentTasks: { type: 'number', sort: true, filter: true },
        registeredAt: { type: 'time', sort: true, filter: true },
        rowVersion: { type: 'number', sort: true, filter: true },
        labels: { type: 'map', sort: true, filter: true, nullable: true },
      },
      default: 'name',
    },
  },
  get: {
    method: 'GET',
    path: '/api/v1/agents/{id}',
    group,
    summary: 'Read one agent',
    permission: 'agent:read',
    rate: 'release-standard',
    params,
    reply: Type.Object({
      ...members,
      recentTasks: Type.Array(
        Type.Object({
          id: Uuid,
          type: Type.String(),
          targetId: Uuid,
          status: Type.String(),
          deploymentTaskId: orNull(Uuid),
          assignedAt: Timestamp,
          completedAt: orNull(Timestamp),
        }),
      ),
      heartbeatHistory: Type.Array(
        Type.Object({ at: Timestamp, cpuPercent: orNull(Type.Number()), memoryPercent: orNull(Type.Number()) }),
      ),
    }),
    faults: ['RES_NOT_FOUND'],
  },
  update: {
    method: 'PUT',
    path: '/api/v1/agents/{id}',
    group,
    summary: 'Update labels, limits, administrative state',
    permission: 'agent:update',
    rate: 'release-standard',
    params,
    body: Type.Object({
      labels: Type.Optional(TargetLabels),
      capabilities: Type.Optional(Type.Array(capability, { maxItems: 64, uniqueItems: true })),
      maxConcurrentTasks: Type.Optional(maxConcurrentTasks),
      state: Type.Optional(OneOf(['active', 'inactive'])),
      config: Type.Optional(Type.Partial(AgentConfig)),
    }),
    reply: ReleaseAgent,
    faults: ['RES_NOT_FOUND', 'RES_VERSION_CONFLICT'],
  },
  remove: {
    method: 'DELETE',
    path: '/api/v1/agents/{id}',
    group,
    summary: 'Revoke and remove an agent',
    permission: 'agent:delete',
    rate: 'release-standard',
    params,
    query: Type.Object({ force: Type.Boolean({ default: false }) }),
    reply: Deleted,
    faults: ['RES_NOT_FOUND', 'RES_VERSION_CONFLICT', 'AGT_HAS_RUNNING_TASKS'],
  },
  heartbeat: {
    method: 'POST',
    path: '/api/v1/agents/{id}/heartbeat',
    group,
    summary: 'Agent heartbeat, task pickup, certificate renewal',
    // The agent's own identity is asked for by the handler.
    permission: 'authenticated',
    rate: 'release-agent',
    verb: null,
    transaction: 'none',
    params,
    body: Type.Object({
      status: OneOf(['online', 'degraded']),
      version,
      resources: Resources,
      runningTasks: Type.Array(Uuid, { maxItems: 64 }),
      capabilities: Type.Optional(Type.Array(capability, { minItems: 1, maxItems: 64, uniqueItems: true })),
      completedTasks: Type.Optional(Type.Array(TaskResult, { maxItems: 64 })),
      csr: Type.Optional(pem),
    }),
    reply: Type.Object({
      serverTime: Timestamp,
      config: AgentConfig,
      tasks: Type.Array(Type.Object({ id: Uuid })),
      cancelTasks: Type.Array(Uuid),
      certificate: Type.Optional(Type.Object({ cert: Type.String(), ca: Type.String(), expiresAt: Timestamp })),
      token: Type.Optional(Type.String()),
    }),
    faults: ['PERM_AGENT_MISMATCH', 'AUTH_AGENT_CERT_INVALID', 'AUTH_AGENT_CERT_EXPIRED', 'AGT_REVOKED'],
  },
  createToken: {
    method: 'POST',
    path: '/api/v1/admin/agent-tokens',
    group: 'Agent Administration',
    summary: 'Issue a one-time agent registration token',
    permission: 'agent:create',
    rate: 'release-standard',
    creates: true,
    idempotency: 'edge',
    body: Type.Object({
      name: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
      capabilities: Type.Optional(capabilities),
      labels: Type.Optional(TargetLabels),
      expiresInSeconds: Type.Integer({ minimum: 300, maximum: 86_400, default: 86_400 }),
      environmentIds: Type.Optional(Type.Array(Uuid, { maxItems: 100, uniqueItems: true })),
    }),
    reply: Type.Object({ id: Uuid, token: Type.String(), expiresAt: Timestamp }),
    faults: ['PERM_ENVIRONMENT_SCOPE'],
  },
})
