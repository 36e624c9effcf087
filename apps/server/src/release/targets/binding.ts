import { Fault } from '@wheelhouse/contract'
import { TARGET_CAPABILITY, type TargetType } from '@wheelhouse/contract/release/targets'
import { type Agent, agentColumns, findAgent } from '../../kernel/agents/index.ts'
import { sql, type Tx } from '../../kernel/db/index.ts'
import { capabilitiesOf, type StoredConfig } from '../agents/tables.ts'
import { noSuch, refuseBody } from '../resource.ts'

/** An agent may be named for a target when it is ours, active, and able (release.md §6.3, E). */
export async function requireBindable(tx: Tx, agentId: string, type: TargetType): Promise<void> {
  const agent = await findAgent(tx, agentId)
  if (!agent) return refuseBody(noSuch('agentId', 'agent'))
  if (agent.state !== 'active') throw new Fault('AGT_NOT_ACTIVE', { agentId, state: agent.state })
  const capability = TARGET_CAPABILITY[type]
  const capabilities = capabilitiesOf(agent)
  if (capability !== undefined && !capabilities.includes(capability))
    throw new Fault('AGT_CAPABILITY_MISSING', { agentId, capability, capabilities })
}

/** `key`, `key=value` or `key:value`: what an environment asks of its agents' labels. */
export function satisfies(labels: Readonly<Record<string, string>>, wanted: readonly string[]): boolean {
  return wanted.every((each) => {
    const [, key = each, value] = /^([^=:]+)[=:](.*)$/s.exec(each) ?? []
    return value === undefined ? labels[key] !== undefined : labels[key] === value
  })
}

/**
 * The agent that works for a target now: the one it is bound to while that is online and active, else any that is online, able and
 * labelled as the environment asks (release.md §6.3). Throws AGT_OFFLINE when there is none.
 */
export async function agentFor(
  tx: Tx,
  target: { type: TargetType; agentId: string | null; environmentId: string },
  agentLabels: readonly string[],
): Promise<Agent> {
  const bound = target.agentId === null ? undefined : await findAgent(tx, target.agentId)
  if (bound?.state === 'active' && bound.liveness !== 'lost') return bound
  const capability = TARGET_CAPABILITY[target.type] ?? ''
  const able = await tx.many<Agent>(
    sql<Agent>`
      select ${agentColumns} from agents
       where deleted_at is null and state = 'active' and liveness <> 'lost' and ${capability} = any(capabilities)
       order by liveness = 'late', name limit 1000`,
  )
  const found = able.find(
    (agent) =>
      satisfies(agent.labels, agentLabels) &&
      capabilitiesOf(agent).includes(capability) &&
      (agent.config as StoredConfig).environmentIds?.includes(target.environmentId) !== false,
  )
  if (!found) throw new Fault('AGT_OFFLINE', { agentId: target.agentId, capability, agentLabels })
  return found
}
