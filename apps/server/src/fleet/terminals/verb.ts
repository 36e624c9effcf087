import { Fault } from '@wheelhouse/contract'
import { type Static, Type } from 'typebox'
import { sql } from '../../kernel/db/index.ts'
import type { Verb } from '../../kernel/jobs/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { guardHost } from '../instances/host-guard.ts'
import { findInstance } from '../instances/tables.ts'
import { instanceFacts } from '../commands/facts.ts'
import { addSession, moveSession } from './tables.ts'

const Input = Type.Object({
  instanceId: Type.String({ minLength: 1, maxLength: 128 }),
  sessionId: Type.String({ minLength: 1, maxLength: 128 }),
})
const Output = Type.Object({ sessionId: Type.String() })

export type TerminalVerb = Verb<typeof Input, typeof Output>

/** Opening a shell on a machine is asked of policy like any other command; the shell itself starts when a socket attaches. */
export const terminalVerb = ({ db, clock, agents, feed }: Kernel): TerminalVerb => ({
  name: 'terminal:open',
  topic: 'job.wh.fleet.terminal.open',
  input: Input,
  output: Output,
  risk: ['exec', 'write'],
  timeoutMs: 15_000,
  maxAttempts: 1,
  facts: async (tx, { instanceId }) => ({ ...(await instanceFacts(tx, instanceId)), 'reach.instances': 1 }),

  async perform({ tenantId, principal, input, jobId }) {
    const row = await db.tenant(tenantId, async (tx) => {
      const found = await findInstance(tx, principal, input.instanceId)
      // Also for those who came through another door than the fleet's.
      await guardHost(tx, principal, found)
      await addSession(tx, clock.now(), { id: input.sessionId, instanceId: found.id, principal, jobId })
      return found
    })
    if (row.agentId === null || !(await agents.isConnected(row.agentId)))
      throw new Fault('AGENT_OFFLINE', { instanceId: row.id })
    return { sessionId: input.sessionId }
  },

  async settle(tx, _jobId, { sessionId }: Static<typeof Input>, end) {
    const now = clock.now()
    if (end.kind === 'succeeded') await moveSession(tx, feed, now, sessionId, 'ACTIVE')
    else
      await tx.run(
        sql`update terminal_sessions set status = 'CLOSED', ended_at = ${new Date(now)} where id::text = ${sessionId}`,
      )
  },
})
