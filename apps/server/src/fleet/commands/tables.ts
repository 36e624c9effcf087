import { randomUUID } from 'node:crypto'
import { Fault } from '@wheelhouse/contract'
import type { Exec } from '@wheelhouse/contract/fleet/commands'
import type { ExecStatus } from '@wheelhouse/contract/fleet/words'
import { type Instant, iso, isoOrNull } from '../../kernel/clock/index.ts'
import { at, jsonb, sql, storable, type Tx } from '../../kernel/db/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'

export interface ExecRow {
  id: string
  instanceId: string
  userId: string
  command: string
  args: string[]
  env: Record<string, string>
  workingDir: string | null
  timeoutMs: number
  status: ExecStatus
  exitCode: number | null
  stdout: string | null
  stderr: string | null
  truncated: boolean
  durationMs: number | null
  correlationId: string
  hasScript: boolean
  jobId: string | null
  approvalRequired: boolean
  error: string | null
  createdAt: Instant
  completedAt: Instant | null
}

export const execColumns = sql`command_executions.id, command_executions.instance_id as "instanceId", command_executions.user_id as "userId",
  command_executions.command, command_executions.args, command_executions.env, command_executions.working_dir as "workingDir",
  command_executions.timeout_ms as "timeoutMs", command_executions.status, command_executions.exit_code as "exitCode", command_executions.stdout,
  command_executions.stderr, command_executions.truncated, command_executions.duration_ms as "durationMs",
  command_executions.correlation_id as "correlationId", command_executions.script is not null as "hasScript", command_executions.job_id as "jobId",
  command_executions.approval_required as "approvalRequired", command_executions.error, command_executions.created_at as "createdAt",
  command_executions.completed_at as "completedAt"`

export const shownExec = ({ approvalRequired, error, truncated, createdAt, completedAt, ...row }: ExecRow): Exec => ({
  ...row,
  createdAt: iso(createdAt),
  completedAt: isoOrNull(completedAt),
  ...(approvalRequired ? { approvalRequired } : {}),
  ...(error === null ? {} : { error }),
  ...(truncated ? { truncated } : {}),
})

export interface NewExec {
  id: string
  instanceId: string
  command: string
  args: readonly string[]
  /** Masked. */
  env: Readonly<Record<string, string>>
  workingDir: string | null
  timeoutMs: number
  script: string | null
  jobId: string
  held: boolean
}

/** Adds a command that was submitted; the same one again changes nothing. */
export async function addExec(tx: Tx, now: Instant, principal: Principal, row: NewExec): Promise<void> {
  await tx.run(sql`
    insert into command_executions (tenant_id, id, instance_id, user_id, command, args, env, working_dir, timeout_ms, status, correlation_id, script,
                                    job_id, approval_required, created_at)
    values (${tx.tenantId}, ${row.id}, ${row.instanceId}, ${principal.ownerId ?? principal.id}, ${storable(row.command)}, ${row.args.map((arg) => storable(arg))},
            ${jsonb(row.env)}, ${row.workingDir}, ${row.timeoutMs}, 'PENDING', ${randomUUID()}, ${row.script === null ? null : storable(row.script)},
            ${row.jobId}, ${row.held}, ${at(now)})
    on conflict do nothing`)
}

export interface Outcome {
  exitCode: number | null
  stdout: string
  stderr: string
  truncated: boolean
  durationMs: number
}

/** Notes what a command wrote, before its job ends. */
export const noteOutcome = (tx: Tx, id: string, outcome: Outcome): Promise<number> =>
  tx.run(sql`
    update command_executions set exit_code = ${outcome.exitCode}, stdout = ${storable(outcome.stdout)}, stderr = ${storable(outcome.stderr)},
           truncated = ${outcome.truncated}, duration_ms = ${Math.round(outcome.durationMs)}
     where id = ${id}`)

export const startExec = (tx: Tx, id: string): Promise<number> =>
  tx.run(
    sql`update command_executions set status = 'RUNNING', approval_required = false where id = ${id} and status = 'PENDING'`,
  )

export const endExec = (
  tx: Tx,
  now: Instant,
  jobId: string,
  status: ExecStatus,
  error: string | null,
): Promise<number> =>
  tx.run(sql`
    update command_executions set status = ${status}, error = ${error}, approval_required = false, completed_at = ${at(now)}
     where job_id = ${jobId} and completed_at is null`)

/** Which of these jobs were commands, and whether they are over. */
export const endedOf = (tx: Tx, jobIds: readonly string[]): Promise<{ jobId: string; ended: boolean }[]> =>
  tx.many<{ jobId: string; ended: boolean }>(sql`
    select job_id as "jobId", completed_at is not null as ended from command_executions where job_id = any(${[...jobIds]})`)

export async function findExec(tx: Tx, id: string, hidden: readonly string[]): Promise<ExecRow> {
  const row = await tx.maybe<ExecRow>(sql`select ${execColumns} from command_executions where id::text = ${id}`)
  if (!row || hidden.includes(row.instanceId))
    throw new Fault('RES_NOT_FOUND', { kind: 'command', id }, { message: `Command '${id}' was not found` })
  return row
}
