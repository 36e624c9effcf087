import { Fault } from '@wheelhouse/contract'
import { fleet } from '@wheelhouse/contract/fleet/index'
import { listPage, type Statement, sql } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { findInstances } from '../instances/tables.ts'
import { hiddenFrom } from '../instances/visibility.ts'
import { pendingReply } from './pending.ts'
import { requireRan, runCommand, type Wanted } from './run.ts'
import { execColumns, type ExecRow, findExec, shownExec } from './tables.ts'
import type { CommandVerb } from './verb.ts'

/** Commands on instances: governed jobs that are waited for (fleet.md §2, Commands; decisions D5). */
export const routes = (kernel: Kernel, verb: CommandVerb) => {
  /** Runs the same on many; each fails by itself, but an instance that is not there refuses all before anything runs. */
  const everywhere = async (
    principal: Principal,
    instanceIds: readonly string[],
    wanted: Omit<Wanted, 'instanceId'>,
    signal: AbortSignal,
  ) => {
    const targets = [...new Set(instanceIds)]
    const known = await kernel.db.tenant(principal.tenantId, (tx) => findInstances(tx, principal, targets))
    const missing = targets.filter((id) => !known.some((row) => row.id === id))
    if (missing.length > 0)
      throw new Fault('RES_NOT_FOUND', { missing }, { message: `Instances not found: ${missing.join(', ')}` })
    const one = async (instanceId: string) => {
      try {
        const ran = await runCommand(
          kernel,
          verb,
          principal,
          { ...wanted, instanceId },
          { reach: targets.length, signal },
        )
        requireRan(ran)
        return { instanceId, success: true, execution: ran.execution }
      } catch (error) {
        if (error instanceof Fault) return { instanceId, success: false, error: error.message }
        throw error
      }
    }
    return { results: await Promise.all(targets.map(one)) }
  }

  return serve('fleet', fleet.commands, {
    async executeCommand({ principal, query, body, request, reply, audit }) {
      const ran = await runCommand(kernel, verb, principal, body, {
        reach: 1,
        ...(query.wait === undefined ? {} : { waitMs: query.wait * 1000 }),
        signal: request.signal,
      })
      audit({
        resourceId: ran.execution.id,
        jobId: ran.settled.jobId,
        metadata: { instanceId: body.instanceId, command: body.command, status: ran.execution.status },
      })
      requireRan(ran)
      return { ...ran.execution, ...pendingReply(ran.settled, reply) }
    },

    executeBulk({ principal, body, request, audit }) {
      const { instanceIds, ...wanted } = body
      audit({ metadata: { instanceIds, command: body.command } })
      return everywhere(principal, instanceIds, wanted, request.signal)
    },

    executeScript({ principal, body, request, audit }) {
      const { instanceIds, ...wanted } = body
      audit({ metadata: { instanceIds, interpreter: body.interpreter } })
      return everywhere(principal, instanceIds, wanted, request.signal)
    },

    async listCommands({ tx, principal, query, list }) {
      const hidden = await hiddenFrom(tx, principal)
      const where: Statement[] = []
      if (query.instanceId !== undefined) where.push(sql`command_executions.instance_id = ${query.instanceId}`)
      if (query.status !== undefined) where.push(sql`command_executions.status = ${query.status}`)
      if (hidden.length > 0) where.push(sql`command_executions.instance_id <> all(${hidden})`)
      return listPage<ExecRow, ReturnType<typeof shownExec>>(
        tx,
        fleet.commands.listCommands.list,
        { table: 'command_executions', select: execColumns, where, map: shownExec },
        list,
      )
    },

    getCommand: async ({ tx, principal, params }) =>
      shownExec(await findExec(tx, params.id, await hiddenFrom(tx, principal))),
  })
}
