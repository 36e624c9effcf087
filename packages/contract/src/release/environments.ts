import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { OneOf, Timestamp, Uuid } from '../schemas.ts'
import { FreezeWindow } from './freeze-windows.ts'
import {
  CurrentRelease,
  Deleted,
  DisplayName,
  GateConfig,
  HealthCheck,
  Name,
  orNull,
  SecretRef,
  StrategyConfig,
  TextMap,
} from './shapes.ts'

const CLOCK_TIME = '^([01][0-9]|2[0-3]):[0-5][0-9]$'

const deploymentTimeout = Type.Integer({ minimum: 10, maximum: 86_400 })
const healthCheckInterval = Type.Integer({ minimum: 5, maximum: 3600 })
const variables = TextMap(1000, 32_768)
const secrets = Type.Array(Type.Object({ name: Type.String({ minLength: 1, maxLength: 255 }), ref: SecretRef }), {
  maxItems: 500,
})
const registryOverrides = Type.Array(
  Type.Object({
    from: Type.String({ minLength: 1, maxLength: 500 }),
    to: Type.String({ minLength: 1, maxLength: 500 }),
  }),
  { maxItems: 100 },
)
const agentLabels = Type.Array(Type.String({ minLength: 1, maxLength: 1200 }), { maxItems: 50, uniqueItems: true })
const releaseMode = OneOf(['verified', 'unverified'])
const gates = Type.Array(GateConfig, { maxItems: 50 })
const deploymentWindows = Type.Array(
  Type.Object({
    days: Type.Array(Type.Integer({ minimum: 0, maximum: 6 }), { minItems: 1, maxItems: 7, uniqueItems: true }),
    start: Type.String({ pattern: CLOCK_TIME, maxLength: 5 }),
    end: Type.String({ pattern: CLOCK_TIME, maxLength: 5 }),
    timezone: Type.String({ minLength: 1, maxLength: 64 }),
  }),
  { maxItems: 50 },
)

/** How an environment deploys (release.md §6), with the documented defaults. */
export const EnvironmentConfig = Type.Object({
  variables: Type.Unsafe<Static<typeof variables>>({ ...variables, default: {} }),
  secrets: Type.Array(secrets.items, { maxItems: 500, default: [] }),
  registryOverrides: Type.Array(registryOverrides.items, { maxItems: 100, default: [] }),
  agentLabels: Type.Array(agentLabels.items, { maxItems: 50, uniqueItems: true, default: [] }),
  deploymentTimeout: Type.Integer({ minimum: 10, maximum: 86_400, default: 600 }),
  healthCheckInterval: Type.Optional(Type.Integer({ minimum: 5, maximum: 3600, default: 30 })),
  healthCheckConfig: Type.Object(HealthCheck.properties, {
    default: { type: 'docker', timeout: 30, retries: 3, interval: 10 },
  }),
  releaseMode: Type.Optional(releaseMode),
  gates: Type.Optional(gates),
  autoDeploy: Type.Optional(Type.Boolean()),
  deploymentWindows: Type.Optional(deploymentWindows),
})
export type EnvironmentConfig = Static<typeof EnvironmentConfig>

/** What a creation may leave out: all of it. Defaults fill the rest. */
const NewConfig = Type.Partial(EnvironmentConfig, { default: {} })

/** A member that is absent stays; an optional one that is null goes back to being absent. */
const ConfigChange = Type.Object({
  variables: Type.Optional(variables),
  secrets: Type.Optional(secrets),
  registryOverrides: Type.Optional(registryOverrides),
  agentLabels: Type.Optional(agentLabels),
  deploymentTimeout: Type.Optional(deploymentTimeout),
  healthCheckInterval: Type.Optional(orNull(healthCheckInterval)),
  healthCheckConfig: Type.Optional(HealthCheck),
  releaseMode: Type.Optional(orNull(releaseMode)),
  gates: Type.Optional(orNull(gates)),
  autoDeploy: Type.Optional(orNull(Type.Boolean())),
  deploymentWindows: Type.Optional(orNull(deploymentWindows)),
})

const orderIndex = Type.Integer({ minimum: 0, maximum: 1_000_000 })
const requiredApprovals = Type.Integer({ minimum: 0, maximum: 10 })
const promotionPolicy = Type.String({ minLength: 1, maxLength: 100 })

const members = {
  id: Uuid,
  tenantId: Uuid,
  name: Name,
  displayName: DisplayName,
  orderIndex,
  config: EnvironmentConfig,
  isProduction: Type.Boolean(),
  requiredApprovals,
  requireSeparationOfDuties: Type.Boolean(),
  autoPromoteFrom: orNull(Uuid),
  promotionPolicy: orNull(promotionPolicy),
  freezeWindows: Type.Array(FreezeWindow),
  defaultStrategy: Type.Union([StrategyConfig, Type.Null()]),
  workflowTemplateId: orNull(Uuid),
  currentRelease: Type.Optional(CurrentRelease),
  createdBy: Uuid,
  createdAt: Timestamp,
  updatedAt: Timestamp,
  version: Type.Integer(),
}

export const Environment = Type.Object(members)
export type Environment = Static<typeof Environment>

const group = 'Environment & Inventory'
const params = Type.Object({ id: Uuid })

/** Either name of one setting is taken; the long one is given back (release.md §24, conflict 4). */
const separation = {
  requireSod: Type.Optional(Type.Boolean()),
  requireSeparationOfDuties: Type.Optional(Type.Boolean()),
}

/** release.md §6.1. */
export const environments = area({
  create: {
    method: 'POST',
    path: '/api/v1/environments',
    group,
    summary: 'Create an environment',
    permission: 'environment:create',
    rate: 'release-standard',
    creates: true,
    idempotency: 'edge',
    body: Type.Object({
      name: Name,
      displayName: DisplayName,
      orderIndex,
      config: NewConfig,
      requiredApprovals: Type.Integer({ minimum: 0, maximum: 10, default: 0 }),
      ...separation,
      promotionPolicy: Type.Optional(orNull(promotionPolicy)),
      isProduction: Type.Optional(Type.Boolean()),
      autoPromoteFrom: Type.Optional(orNull(Uuid)),
      defaultStrategy: Type.Optional(Type.Union([StrategyConfig, Type.Null()])),
      workflowTemplateId: Type.Optional(orNull(Uuid)),
    }),
    reply: Environment,
    faults: ['RES_DUPLICATE_NAME', 'ENV_ORDER_CONFLICT', 'ENV_INVALID_AUTO_PROMOTE', 'PERM_ENVIRONMENT_SCOPE'],
  },
  list: {
    method: 'GET',
    path: '/api/v1/environments',
    group,
    summary: 'List environments in promotion order',
    permission: 'environment:read',
    rate: 'release-standard',
    query: Type.Object({ includeState: Type.Boolean({ default: false }) }),
    reply: Environment,
    list: {
      fields: {
        name: { type: 'text', sort: true, filter: true },
        displayName: { type: 'text', sort: true, filter: true },
        orderIndex: { type: 'number', sort: true, filter: true },
        isProduction: { type: 'boolean', sort: true, filter: true },
        promotionPolicy: { type: 'text', sort: true, filter: true, nullable: true },
      },
      default: 'orderIndex',
    },
  },
  get: {
    method: 'GET',
    path: '/api/v1/environments/{id}',
    group,
    summary: 'Read one environment',
    permission: 'environment:read',
    rate: 'release-standard',
    params,
    reply: Type.Object({
      ...members,
      currentRelease: CurrentRelease,
      targetCount: Type.Integer(),
      lastDeploymentJobId: orNull(Uuid),
    }),
    faults: ['RES_NOT_FOUND', 'PERM_ENVIRONMENT_SCOPE'],
  },
  update: {
    method: 'PUT',
    path: '/api/v1/environments/{id}',
    group,
    summary: 'Partially update an environment',
    permission: 'environment:update',
    rate: 'release-standard',
    params,
    body: Type.Object({
      name: Type.Optional(Name),
      displayName: Type.Optional(DisplayName),
      orderIndex: Type.Optional(orderIndex),
      config: Type.Optional(ConfigChange),
      requiredApprovals: Type.Optional(requiredApprovals),
      ...separation,
      promotionPolicy: Type.Optional(orNull(promotionPolicy)),
      isProduction: Type.Optional(orNull(Type.Boolean())),
      autoPromoteFrom: Type.Optional(orNull(Uuid)),
      defaultStrategy: Type.Optional(Type.Union([StrategyConfig, Type.Null()])),
      workflowTemplateId: Type.Optional(orNull(Uuid)),
    }),
    reply: Environment,
    faults: [
      'RES_NOT_FOUND',
      'RES_VERSION_CONFLICT',
      'RES_DUPLICATE_NAME',
      'ENV_ORDER_CONFLICT',
      'ENV_INVALID_AUTO_PROMOTE',
      'PERM_ENVIRONMENT_SCOPE',
    ],
  },
  remove: {
    method: 'DELETE',
    path: '/api/v1/environments/{id}',
    group,
    summary: 'Delete an unused environment',
    permission: 'environment:delete',
    rate: 'release-standard',
    params,
    reply: Deleted,
    faults: [
      'RES_NOT_FOUND',
      'RES_VERSION_CONFLICT',
      'ENV_HAS_TARGETS',
      'ENV_HAS_ACTIVE_PROMOTIONS',
      'ENV_REFERENCED',
      'PERM_ENVIRONMENT_SCOPE',
    ],
  },
})
