import { Fault } from '@wheelhouse/contract'
import type { Exec } from '@wheelhouse/contract/fleet/commands'
import { ids } from '../../kernel/clock/index.ts'
import type { Settled } from '../../kernel/jobs/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { guardHost } from '../instances/host-guard.ts'
import { findInstance } from '../instances/tables.ts'
import { maskedEnv, sealEnv } from './env.ts'
import { addExec, findExec, shownExec } from './tables.ts'
import type { CommandVerb } from './verb.ts'

/** What beyond the command's own time an endpoint waits (fleet.md §2, Commands). */
const EXTRA_WAIT_MS = 5000

export interface Wanted {
  instanceId: string
  command?: string | undefined
  args?: string[] | undefined
  env?: Record<string, string> | undefined
  workingDir?: string | undefined
  script?: string | undefined
  interpreter?: string | undefined
  timeoutMs: number
}

export interface Ran {
  execution: Exec
  settled: Settled<unknown>
}

/**
 * Submits a command and waits for it. The row is there before anything runs. Throws RES_NOT_FOUND, CONTROL_PLANE_GUARDED, POLICY_DENIED
 * (then nothing is recorded but the denied job) and POLICY_THROTTLED; what happens on the machine is in the row.
 */
export async function runCommand(
  kernel: Kernel,
  verb: CommandVerb,
  principal: Principal,
  wanted: Wanted,
  options: { reach: number; waitMs?: number; signal?: AbortSignal },
): Promise<Ran> {
  const { db, jobs, vault, clock } = kernel
  const { tenantId } = principal
  const { env = {}, instanceId, timeoutMs, ...rest } = wanted
  const row = await db.tenant(tenantId, async (tx) => {
    const found = await findInstance(tx, principal, instanceId)
    await guardHost(tx, principal, found)
    return found
  })
  const id = ids.next()
  const settled = await jobs.submitAndWait(
    principal,
    verb,
    {
      ...rest,
      instanceId,
      timeoutMs,
      sealedEnv: sealEnv(vault, tenantId, env),
      reach: options.reach,
      executionId: id,
    },
    {
      waitMs: options.waitMs ?? timeoutMs + EXTRA_WAIT_MS,
      timeoutMs,
      ...(options.signal ? { signal: options.signal } : {}),
      ...(row.agentId === null ? {} : { executor: { kind: 'agent', agentId: row.agentId } }),
      prepare: (tx, { jobId, state }) =>
        addExec(tx, clock.now(), principal, {
          id,
          instanceId,
          command: wanted.command ?? `${wanted.interpreter ?? '/bin/bash'} -s`,
          args: wanted.args ?? [],
          env: maskedEnv(env),
          workingDir: wanted.workingDir ?? null,
          timeoutMs,
          script: wanted.script ?? null,
          jobId,
          held: state === 'held',
        }),
    },
  )
  const execution = shownExec(await db.tenant(tenantId, (tx) => findExec(tx, id, [])))
  return { execution, settled }
}

/** 502 for what kept a command from running or from ending (fleet.md §2, Commands); a command that ran and failed is no error. */
export function requireRan({ execution, settled }: Ran): void {
  if (settled.state !== 'ended' || settled.end.kind === 'succeeded' || execution.exitCode !== null) return
  const { code, message } = settled.end
  throw new Fault(
    'COMMAND_FAILED',
    { reason: code, executionId: execution.id },
    { message, extra: { executionId: execution.id, jobId: settled.jobId, status: execution.status } },
  )
}
