import { type Body, Fault } from '@wheelhouse/contract'
import type { agents } from '@wheelhouse/contract/release/agents'
import { revokeAgent } from '../../kernel/agents/index.ts'
import type { Instant } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { publish } from '../../kernel/events/index.ts'
import { actorOf, type Principal } from '../../kernel/identity/index.ts'
import { refuseBody } from '../resource.ts'
import { revokeCertificates } from './certificates.ts'
import { type AgentRow, getAgent, saveSettings, type StoredConfig } from './tables.ts'

/** Changes labels, limits and administrative state (release.md §6.4). `row` is the locked agent. */
export async function updateAgent(
  tx: Tx,
  principal: Principal,
  row: AgentRow,
  body: Body<typeof agents.update>,
  now: Instant,
): Promise<AgentRow> {
  const config: StoredConfig = { ...(row.config as StoredConfig), ...body.config }
  if (body.capabilities) {
    refuseUnreported(row, body.capabilities)
    config.capabilities = body.capabilities
  }
  await saveSettings(tx, now, {
    id: row.id,
    labels: body.labels ?? row.labels,
    maxTasks: body.maxConcurrentTasks ?? row.maxTasks,
    state: body.state ?? row.state,
    config: { ...config },
  })
  await announce(tx, 'updated', row, principal, now)
  return getAgent(tx, row.id)
}

function refuseUnreported(row: AgentRow, capabilities: readonly string[]): void {
  const [first, ...more] = capabilities.flatMap((each, i) =>
    row.capabilities.includes(each)
      ? []
      : [{ field: `capabilities[${i}]`, message: 'is not among those that the agent reports', code: 'enum' as const }],
  )
  if (first) refuseBody(first, ...more)
}

/** Ends an agent for good: key, tokens, certificates. Its row stays for the trail. Throws AGT_HAS_RUNNING_TASKS unless forced. */
export async function removeAgent(
  tx: Tx,
  principal: Principal,
  row: AgentRow,
  force: boolean,
  now: Instant,
): Promise<void> {
  if (row.running > 0 && !force) throw new Fault('AGT_HAS_RUNNING_TASKS', { runningTasks: row.running })
  await revokeCertificates(tx, row.id, now)
  await revokeAgent(tx, now, row.id)
  await announce(tx, 'revoked', row, principal, now)
}

const announce = (
  tx: Tx,
  what: 'updated' | 'revoked',
  row: AgentRow,
  principal: Principal,
  now: Instant,
): Promise<string> =>
  publish(tx, {
    type: `agent.${what}`,
    resource: { kind: 'agent', id: row.id },
    actor: actorOf(principal),
    data: { name: row.name },
    at: now,
  })
