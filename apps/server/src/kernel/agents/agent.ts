import type { AgentPayload } from '@wheelhouse/sdk/agent-protocol'
import type { Instant } from '../clock/index.ts'
import { at, jsonb, sql, type Tx } from '../db/index.ts'

export type Liveness = 'online' | 'late' | 'lost'
export type Host = Partial<AgentPayload<'hello'>['host']>

/** One installed agent. */
export interface Agent {
  id: string
  tenantId: string
  /** What it calls itself; fleet's instance id or name. */
  externalId: string | null
  name: string
  version: string
  host: Host
  capabilities: string[]
  /** Declared ones, overruled by those that were given to it here. */
  labels: Record<string, string>
  config: Record<string, unknown>
  maxTasks: number
  state: 'active' | 'inactive' | 'revoked'
  liveness: Liveness
  enrolled: boolean
  rowVersion: number
  registeredAt: Instant
  connectedAt: Instant | null
}

export const agentColumns = sql`agents.id, agents.tenant_id as "tenantId", agents.external_id as "externalId", agents.name, agents.version, agents.host,
  agents.capabilities, agents.declared_labels || agents.labels as labels, agents.config, agents.max_tasks as "maxTasks", agents.state, agents.liveness,
  agents.enrolled, agents.row_version as "rowVersion", agents.registered_at as "registeredAt", agents.connected_at as "connectedAt"`

/** A live agent by its id. */
export const findAgent = (tx: Tx, id: string): Promise<Agent | undefined> =>
  tx.maybe<Agent>(sql`select ${agentColumns} from agents where id::text = ${id} and deleted_at is null`)

/** The live agent that calls itself so; else the one enrolled under that name that has never connected. */
export const agentByExternalId = (tx: Tx, externalId: string): Promise<Agent | undefined> =>
  tx.maybe<Agent>(sql`
    select ${agentColumns} from agents
     where deleted_at is null and (external_id = ${externalId} or (external_id is null and name = ${externalId}))
     order by external_id is null limit 1`)

export interface NewAgent {
  id: string
  name: string
  externalId?: string
  labels?: Readonly<Record<string, string>>
  enrolled?: boolean
}

/** Adds the row and the principal of an agent, with the role that lets it connect. */
export async function insertAgent(tx: Tx, now: Instant, agent: NewAgent): Promise<void> {
  const { tenantId } = tx
  await tx.run(sql`
    insert into principals (tenant_id, id, kind, subject, name, created_at)
    values (${tenantId}, ${agent.id}, 'agent', ${agent.id}, ${agent.name}, ${at(now)})`)
  await tx.run(sql`
    insert into agents (tenant_id, id, external_id, name, labels, enrolled, registered_at, updated_at)
    values (${tenantId}, ${agent.id}, ${agent.externalId ?? null}, ${agent.name}, ${jsonb(agent.labels ?? {})}, ${agent.enrolled ?? false}, ${at(now)}, ${at(now)})`)
}

/** A name that no live agent bears: the wanted one, or it with a number. */
export async function freeName(tx: Tx, wanted: string): Promise<string> {
  const taken = await tx.many<{ name: string }>(
    sql`select name from agents where deleted_at is null and starts_with(name, ${wanted})`,
  )
  const names = new Set(taken.map(({ name }) => name))
  if (!names.has(wanted)) return wanted
  for (let number = 2; ; number++) if (!names.has(`${wanted}-${number}`)) return `${wanted}-${number}`
}

/** What a connecting agent says of itself. */
export interface Declared {
  externalId: string
  version: string
  capabilities: readonly string[]
  labels: Readonly<Record<string, string>>
  host: Host
  maxTasks: number
}

/** Notes what an agent declares and that it is connected; answers the row as it is now and what its liveness was. */
export async function noteConnected(
  tx: Tx,
  now: Instant,
  id: string,
  declared: Declared,
): Promise<{ agent: Agent; was: Liveness }> {
  // Labels of ours cannot be claimed: policy relies on them.
  const labels = Object.fromEntries(Object.entries(declared.labels).filter(([key]) => !key.startsWith('wheelhouse.')))
  const { was, ...agent } = await tx.one<Agent & { was: Liveness }>(sql`
    update agents set
      external_id = ${declared.externalId}, version = case when ${declared.version} = '' then agents.version else ${declared.version} end,
      capabilities = ${[...declared.capabilities]}, declared_labels = ${jsonb(labels)},
      host = agents.host || ${jsonb(declared.host)}::jsonb, max_tasks = ${declared.maxTasks},
      liveness = 'online', connected_at = ${at(now)}, updated_at = ${at(now)}
      from (select id as before_id, liveness as was from agents where id = ${id} for update) as before
     where agents.id = ${id} and before_id = agents.id
    returning ${agentColumns}, was`)
  return { agent, was }
}

/** Ends an agent for good: its keys, its name and its id become free. Its row stays, so that history keeps its name. */
export async function revokeAgent(tx: Tx, now: Instant, id: string): Promise<boolean> {
  const revoked = await tx.run(sql`
    update agents set state = 'revoked', liveness = 'lost', deleted_at = ${at(now)}, updated_at = ${at(now)}, row_version = row_version + 1
     where id::text = ${id} and deleted_at is null`)
  if (revoked === 0) return false
  await tx.run(
    sql`update api_keys set revoked_at = ${at(now)}, updated_at = ${at(now)} where owner_id::text = ${id} and revoked_at is null`,
  )
  await tx.run(sql`update principals set deleted_at = ${at(now)} where id::text = ${id}`)
  await tx.run(sql`delete from agent_presence where agent_id::text = ${id}`)
  return true
}
