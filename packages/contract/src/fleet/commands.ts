import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Nullable, OneOf, Timestamp, Uuid } from '../schemas.ts'
import { ById, EXEC_STATUSES, NullableText, NullableTime, Paging } from './words.ts'

export const Exec = Type.Object({
  id: Uuid,
  instanceId: Id,
  userId: Type.String(),
  command: Type.String(),
  args: Type.Array(Type.String()),
  env: Type.Record(Type.String(), Type.String()),
  workingDir: NullableText,
  timeoutMs: Type.Integer(),
  status: OneOf(EXEC_STATUSES),
  exitCode: Nullable(Type.Integer()),
  stdout: NullableText,
  stderr: NullableText,
  durationMs: Nullable(Type.Integer()),
  correlationId: Uuid,
  hasScript: Type.Boolean(),
  createdAt: Timestamp,
  completedAt: NullableTime,
  // The governed job behind it (decisions D5), and why it did not run.
  jobId: NullableText,
  approvalRequired: Type.Optional(Type.Boolean()),
  error: Type.Optional(Type.String()),
  truncated: Type.Optional(Type.Boolean()),
})
export type Exec = Static<typeof Exec>

const Timeout = (fallback: number) => Type.Integer({ minimum: 1000, maximum: 300_000, default: fallback })
const Instances = Type.Array(Id, { minItems: 1, maxItems: 50 })

const command = {
  command: Type.String({ minLength: 1, maxLength: 4096 }),
  args: Type.Optional(Type.Array(Type.String({ maxLength: 1024 }), { maxItems: 64 })),
  env: Type.Optional(
    Type.Record(Type.String({ minLength: 1, maxLength: 256 }), Type.String({ maxLength: 4096 }), {
      maxProperties: 256,
      propertyNames: { maxLength: 256 },
    }),
  ),
  workingDir: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  timeoutMs: Timeout(30_000),
}

const Results = Type.Object({
  results: Type.Array(
    Type.Object({
      instanceId: Id,
      success: Type.Boolean(),
      execution: Type.Optional(Exec),
      error: Type.Optional(Type.String()),
    }),
  ),
})

const run = {
  method: 'POST',
  group: 'Commands',
  rate: 'fleet-strict',
  transaction: 'none',
  faults: ['RES_NOT_FOUND', 'COMMAND_FAILED', 'POLICY_DENIED', 'CONTROL_PLANE_GUARDED'],
} as const

export const commands = area({
  executeCommand: {
    ...run,
    path: '/api/v1/commands',
    summary: 'Run a command on an instance and wait for it; policy decides first',
    permission: 'command:execute',
    floor: 'DEVELOPER',
    creates: true,
    // Beyond the document: `wait` seconds instead of the command's own time; with 0 the job is answered at once, to be followed live.
    query: Type.Object({ wait: Type.Optional(Type.Integer({ minimum: 0, maximum: 305 })) }),
    body: Type.Object({ instanceId: Id, ...command }),
    reply: Exec,
  },
  executeBulk: {
    ...run,
    path: '/api/v1/commands/bulk',
    summary: 'Run a command on up to 50 instances',
    permission: 'command:bulk',
    floor: 'OPERATOR',
    status: 207,
    body: Type.Object({ instanceIds: Instances, ...command }),
    reply: Results,
  },
  executeScript: {
    ...run,
    path: '/api/v1/commands/script',
    summary: 'Run a script through an interpreter on up to 50 instances',
    permission: 'command:script',
    floor: 'DEVELOPER',
    status: 207,
    body: Type.Object({
      instanceIds: Instances,
      script: Type.String({ minLength: 1, maxLength: 65_536 }),
      interpreter: Type.String({ minLength: 1, maxLength: 128, default: '/bin/bash' }),
      timeoutMs: Timeout(60_000),
    }),
    reply: Results,
  },
  listCommands: {
    method: 'GET',
    path: '/api/v1/commands/history',
    group: 'Commands',
    summary: 'Commands that were run, newest first',
    permission: 'command:read',
    floor: 'VIEWER',
    rate: 'fleet-default',
    query: Type.Object({
      instanceId: Type.Optional(Id),
      status: Type.Optional(OneOf(EXEC_STATUSES)),
      ...Paging(100),
    }),
    list: {
      fields: { createdAt: { type: 'time', sort: true } },
      default: '-createdAt',
      pageSize: 20,
      maxPageSize: 100,
      key: 'executions',
    },
    reply: Exec,
  },
  getCommand: {
    method: 'GET',
    path: '/api/v1/commands/{id}',
    group: 'Commands',
    summary: 'One command with its output',
    permission: 'command:read',
    floor: 'VIEWER',
    rate: 'fleet-default',
    params: ById,
    reply: Exec,
    faults: ['RES_NOT_FOUND'],
  },
})
