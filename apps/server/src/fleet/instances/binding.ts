import type { EventType } from '@wheelhouse/contract'
import { DISTROS, PROVIDERS } from '@wheelhouse/contract/fleet/words'
import type { Agent } from '../../kernel/agents/index.ts'
import { ids, type Instant } from '../../kernel/clock/index.ts'
import { at, jsonb, sql, type Tx } from '../../kernel/db/index.ts'
import { publish } from '../../kernel/events/index.ts'
import { actorOf, type Principal } from '../../kernel/identity/index.ts'
import { addEvent, findByExternalId, instanceColumns, type InstanceRow, moveStatus } from './tables.ts'

/** The instance that an agent serves; an agent serves at most one (decisions D4). */
export const instanceOfAgent = (tx: Tx, agentId: string): Promise<InstanceRow | undefined> =>
  tx.maybe<InstanceRow>(
    sql`select ${instanceColumns} from instances where agent_id = ${agentId} and status <> 'DESTROYED' limit 1`,
  )

/**
 * Binds a connected agent to its instance (fleet.md §3.16): the row of its id, else of its name, else a new one. What the agent says of
 * its host is noted; an instance that was stopped runs again.
 */
export async function bindAgent(tx: Tx, now: Instant, agent: Agent, system: Principal): Promise<InstanceRow> {
  const externalId = agent.externalId ?? agent.name
  await tx.run(sql`select pg_advisory_xact_lock(hashtextextended(${`instance ${tx.tenantId} ${externalId}`}, 0))`)
  const known = (await findByExternalId(tx, externalId)) ?? (await instanceOfAgent(tx, agent.id))
  const row = known ?? (await insertFor(tx, now, agent, externalId, system))
  await tx.run(sql`update instances set agent_id = null where agent_id = ${agent.id} and id <> ${row.id}`)
  const { host, version } = agent
  await tx.run(sql`
    update instances set agent_id = ${agent.id}, hostname = coalesce(${host.hostname ?? null}, hostname), os = coalesce(${host.os ?? null}, os),
           arch = coalesce(${host.arch ?? null}, arch), agent_version = coalesce(${version || null}, agent_version),
           distro = coalesce(distro, ${knownOf(DISTROS, host.distro)})
     where id = ${row.id}`)
  if (await moveStatus(tx, now, row.id, ['STOPPED'], 'RUNNING')) {
    await addEvent(tx, { instanceId: row.id, type: 'CONNECT', at: now, metadata: { triggered_by: 'agent' } })
    await announce(tx, now, system, row.id, 'instance.connected', { previousStatus: 'STOPPED', status: 'RUNNING' })
  }
  return { ...row, agentId: agent.id }
}

/** Tells the rest of the house what happened to an instance without anybody asking for it. */
export const announce = (
  tx: Tx,
  now: Instant,
  system: Principal,
  id: string,
  type: EventType & `instance.${string}`,
  data: Readonly<Record<string, unknown>>,
): Promise<string> => publish(tx, { type, resource: { kind: 'instance', id }, actor: actorOf(system), data, at: now })

const knownOf = (words: readonly string[], value: string | undefined): string | null =>
  value !== undefined && words.includes(value) ? value : null

async function insertFor(
  tx: Tx,
  now: Instant,
  { host, labels, version }: Agent,
  externalId: string,
  system: Principal,
): Promise<InstanceRow> {
  const taken = (await tx.maybe(sql`select 1 from instances where id = ${externalId}`)) !== undefined
  const tags = Object.fromEntries(Object.entries(labels).filter(([key]) => !key.startsWith('wheelhouse.')))
  const row = await tx.one<InstanceRow>(sql`
    insert into instances (tenant_id, id, name, provider, region, distro, status, hostname, agent_version, os, arch, tags, created_at, updated_at)
    values (${tx.tenantId}, ${taken ? ids.next() : externalId}, ${externalId}, ${knownOf(PROVIDERS, host.provider) ?? 'ssh'}, ${host.region || null},
            ${knownOf(DISTROS, host.distro)}, 'RUNNING', ${host.hostname ?? null}, ${version || null}, ${host.os ?? null}, ${host.arch ?? null},
            ${jsonb(tags)}, ${at(now)}, ${at(now)})
    returning ${instanceColumns}`)
  await addEvent(tx, {
    instanceId: row.id,
    type: 'DEPLOY',
    at: now,
    metadata: { triggered_by: 'agent', provider: row.provider },
  })
  await announce(tx, now, system, row.id, 'instance.registered', { name: row.name, provider: row.provider, new: true })
  return row
}
