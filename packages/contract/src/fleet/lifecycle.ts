import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Nullable, OneOf, Timestamp } from '../schemas.ts'
import { ById, LIFECYCLE_ACTIONS, NullableText, Status } from './words.ts'

const Done = Type.Object({ message: Type.String(), id: Id, name: Type.String(), status: Status })

const action = {
  method: 'POST',
  group: 'Instance Lifecycle',
  floor: 'OPERATOR',
  rate: 'fleet-strict',
  params: ById,
  faults: ['RES_NOT_FOUND', 'INSTANCE_STATE', 'PROVIDER_DRIVER_MISSING'],
} as const

export const BULK_ACTIONS = ['suspend', 'resume', 'destroy'] as const

export const lifecycle = area({
  suspendInstance: {
    ...action,
    path: '/api/v1/instances/{id}/suspend',
    summary: 'Stop an instance with its provider and keep its volumes',
    permission: 'instance:suspend',
    reply: Done,
  },
  resumeInstance: {
    ...action,
    path: '/api/v1/instances/{id}/resume',
    summary: 'Start a suspended or stopped instance with its provider',
    permission: 'instance:resume',
    reply: Done,
  },
  destroyInstance: {
    ...action,
    group: 'Instances',
    path: '/api/v1/instances/{id}/destroy',
    summary: 'Tear an instance down with its provider; its record stays',
    permission: 'instance:destroy',
    body: Type.Object({
      backupVolume: Type.Optional(Type.Boolean()),
      backupLabel: Type.Optional(Type.String({ maxLength: 128 })),
    }),
    reply: Type.Intersect([Done, Type.Object({ backupId: NullableText })]),
    beyondDocument: true,
  },
  backupInstance: {
    ...action,
    path: '/api/v1/instances/{id}/backup',
    summary: 'Back the volumes of an instance up with its provider',
    permission: 'instance:backup',
    status: 202,
    body: Type.Object({
      label: Type.Optional(Type.String({ maxLength: 128 })),
      compression: Type.Optional(OneOf(['none', 'gzip', 'zstd'])),
    }),
    reply: Type.Object({
      message: Type.String(),
      backupId: Id,
      instanceId: Id,
      label: Type.String(),
      status: Type.String(),
      createdAt: Timestamp,
    }),
  },
  bulkAction: {
    method: 'POST',
    path: '/api/v1/instances/bulk-action',
    group: 'Instance Lifecycle',
    summary: 'The same action on up to 50 instances; each succeeds or fails by itself',
    permission: 'instance:bulk-action',
    floor: 'OPERATOR',
    rate: 'fleet-strict',
    transaction: 'none',
    body: Type.Object({
      instanceIds: Type.Array(Id, { minItems: 1, maxItems: 50 }),
      action: OneOf(BULK_ACTIONS),
      options: Type.Optional(Type.Object({ backupVolume: Type.Optional(Type.Boolean()) })),
    }),
    reply: Type.Object({
      message: Type.String(),
      action: OneOf(BULK_ACTIONS),
      results: Type.Array(
        Type.Object({
          id: Id,
          name: Type.String(),
          success: Type.Boolean(),
          error: NullableText,
          newStatus: Nullable(Status),
        }),
      ),
      summary: Type.Object({ total: Type.Integer(), succeeded: Type.Integer(), failed: Type.Integer() }),
    }),
  },
  getLifecycle: {
    method: 'GET',
    path: '/api/v1/instances/{id}/lifecycle',
    group: 'Instance Lifecycle',
    summary:
      'The actions that the status of an instance allows, and of each of the four why it can or cannot be done now',
    permission: 'instance:read',
    floor: 'VIEWER',
    rate: 'fleet-default',
    params: ById,
    reply: Type.Object({
      instanceId: Id,
      status: Status,
      availableActions: Type.Array(OneOf(LIFECYCLE_ACTIONS)),
      actions: Type.Array(
        Type.Object({ action: OneOf(LIFECYCLE_ACTIONS), possible: Type.Boolean(), reason: NullableText }),
      ),
    }),
    faults: ['RES_NOT_FOUND'],
  },
})
