import { Type } from 'typebox'
import { Id, Nullable, OneOf, Timestamp } from '../schemas.ts'

/** fleet.md §3.1, each set of words once. */
export const INSTANCE_STATUSES = [
  'RUNNING',
  'STOPPED',
  'DEPLOYING',
  'DESTROYING',
  'DESTROYED',
  'SUSPENDED',
  'ERROR',
  'UNKNOWN',
] as const
export type InstanceStatus = (typeof INSTANCE_STATUSES)[number]

export const PROVIDERS = [
  'fly',
  'docker',
  'devpod',
  'e2b',
  'kubernetes',
  'digitalocean',
  'gcp',
  'azure',
  'aws',
  'runpod',
  'northflank',
  'ssh',
] as const
export type Provider = (typeof PROVIDERS)[number]

export const DISTROS = ['ubuntu', 'fedora', 'opensuse'] as const

export const EVENT_TYPES = [
  'DEPLOY',
  'REDEPLOY',
  'CONNECT',
  'DISCONNECT',
  'BACKUP',
  'RESTORE',
  'DESTROY',
  'SUSPEND',
  'RESUME',
  'EXTENSION_INSTALL',
  'EXTENSION_REMOVE',
  'HEARTBEAT_LOST',
  'HEARTBEAT_RECOVERED',
  'ERROR',
] as const
export type EventType = (typeof EVENT_TYPES)[number]

export const LOG_LEVELS = ['DEBUG', 'INFO', 'WARN', 'ERROR'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export const LOG_SOURCES = ['AGENT', 'EXTENSION', 'BUILD', 'APP', 'SYSTEM'] as const
export type LogSource = (typeof LOG_SOURCES)[number]

export const EXEC_STATUSES = ['PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'TIMEOUT'] as const
export type ExecStatus = (typeof EXEC_STATUSES)[number]

export const LIFECYCLE_ACTIONS = ['suspend', 'resume', 'destroy', 'backup'] as const
export type LifecycleAction = (typeof LIFECYCLE_ACTIONS)[number]

export const AUDIT_ACTIONS = [
  'CREATE',
  'UPDATE',
  'DELETE',
  'LOGIN',
  'LOGOUT',
  'DEPLOY',
  'DESTROY',
  'SUSPEND',
  'RESUME',
  'EXECUTE',
  'CONNECT',
  'DISCONNECT',
  'PERMISSION_CHANGE',
  'TEAM_ADD',
  'TEAM_REMOVE',
] as const
export type AuditAction = (typeof AUDIT_ACTIONS)[number]

/** A name that the console form may give to an instance (fleet.md §2, Instances). */
export const INSTANCE_NAME = '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'

/** A 64-bit counter as a decimal string (fleet.md, reading guide). */
export const BigText = Type.String({ pattern: '^-?[0-9]+$', maxLength: 20 })

export const NullableText = Nullable(Type.String())
export const NullableNumber = Nullable(Type.Number())
export const NullableTime = Nullable(Timestamp)

/** A comma-separated list of some of these words in one query parameter. */
export const Csv = (words: readonly string[]) =>
  Type.String({ maxLength: 512, pattern: `^(${words.join('|')})(,(${words.join('|')}))*$` })

export const ById = Type.Object({ id: Id })
export const ByInstanceId = Type.Object({ instanceId: Id })

export const Status = OneOf(INSTANCE_STATUSES)

/** Page number and size as the fleet surface names both (fleet.md §1.2); the list of the endpoint reads them. */
export const Paging = (maxPageSize: number) => ({
  page: Type.Optional(Type.Integer({ minimum: 1 })),
  pageSize: Type.Optional(Type.Integer({ minimum: 1, maximum: maxPageSize })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maxPageSize })),
})

/** A window of time in a query; both ends optional. */
export const Window = { from: Type.Optional(Timestamp), to: Type.Optional(Timestamp) }
