import { userInfo } from 'node:os'
import { Fault } from '@wheelhouse/contract'
import { type Agent, findAgent } from '../../kernel/agents/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { can, type Principal } from '../../kernel/identity/index.ts'
import type { InstanceRow } from './tables.ts'

/** Given by us at enrolment, never by an agent (decisions D9). */
const CONTROL_PLANE = 'wheelhouse.control-plane'

/**
 * Commands, terminals and files on the host of Wheelhouse itself reach the data folder when the agent there runs as our own user or as
 * root: then they are for administrators (decisions D9). Throws CONTROL_PLANE_GUARDED.
 */
export async function guardHost(tx: Tx, principal: Principal, { agentId }: InstanceRow): Promise<void> {
  if (agentId === null || can(principal, 'control-plane:admin')) return
  const agent = await findAgent(tx, agentId)
  if (agent && CONTROL_PLANE in agent.labels && reachesData(agent)) throw new Fault('CONTROL_PLANE_GUARDED')
}

/** An agent that root started has a user without a name; one that shares our user has ours. What is unknown is taken for ours. */
function reachesData({ host }: Agent): boolean {
  if (host.user === 'root') return true
  if (host.user === undefined) return process.getuid?.() !== 0
  return host.user === ownName()
}

function ownName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}
