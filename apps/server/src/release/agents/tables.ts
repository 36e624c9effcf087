import { Fault } from '@wheelhouse/contract'
import {
  type AgentConfig,
  type AgentStatus,
  DEFAULT_AGENT_CONFIG,
  type ReleaseAgent,
} from '@wheelhouse/contract/release/agents'
import { type Agent, agentColumns } from '../../kernel/agents/index.ts'
import { type Instant, iso, isoOrNull } from '../../kernel/clock/index.ts'
import { at, jsonb, sql, type Statement, type Tx } from '../../kernel/db/index.ts'

/** What this surface keeps in an agent's `config`, beside how it is asked to behave. */
export interface StoredConfig extends Partial<AgentConfig> {
  /** An administrator's choice among the capabilities that the agent reports; absent: all of them. */
  capabilities?: string[]
  /** The environments that its registration token confined it to; absent: all. */
  environmentIds?: string[]
}

export interface AgentRow extends Agent {
  status: AgentStatus
  reportedStatus: 'online' | 'degraded'
  lastHeartbeatAt: Instant | null
  resources: Record<string, number> | null
  running: number
  certificate: { serial: string; notBefore: string; expiresAt: string; fingerprint: string } | null
}

const presence = (column: string): Statement =>
  sql`(select ${sql.ref(`p.${column}`)} from agent_presence p where p.tenant_id = agents.tenant_id and p.agent_id = agents.id)`

export const lastHeartbeat = sql`coalesce(${presence('last_heartbeat_at')}, agents.last_heartbeat_at)`
export const running = sql`coalesce(${presence('running')}, 0)`
/** Late heartbeats, or the agent's own word, degrade it (release.md §6.4). */
export const status = sql`case when agents.liveness = 'lost' then 'offline'
  when agents.liveness = 'late' or agents.reported_status = 'degraded' then 'degraded' else 'online' end`

export const columns = sql`${agentColumns}, ${status} as status, agents.reported_status as "reportedStatus", ${lastHeartbeat} as "lastHeartbeatAt",
  ${presence('resources')} as resources, ${running} as running,
  (select jsonb_build_object('serial', c.serial, 'notBefore', c.not_before, 'expiresAt', c.expires_at, 'fingerprint', c.fingerprint)
     from agent_certificates c where c.tenant_id = agents.tenant_id and c.agent_id = agents.id and c.revoked_at is null
    order by c.expires_at desc limit 1) as certificate`

export const configOf = ({ config }: Pick<Agent, 'config'>): AgentConfig => {
  const { heartbeatInterval, taskPollInterval, logLevel } = { ...DEFAULT_AGENT_CONFIG, ...(config as StoredConfig) }
  return { heartbeatInterval, taskPollInterval, logLevel }
}

/** What the agent may be given: what it reports, as far as an administrator leaves it that. */
export function capabilitiesOf({ capabilities, config }: Pick<Agent, 'capabilities' | 'config'>): string[] {
  const { capabilities: chosen } = config as StoredConfig
  return chosen ? capabilities.filter((each) => chosen.includes(each)) : [...capabilities]
}

export function toAgent(row: AgentRow): ReleaseAgent {
  const { certificate, host } = row
  const known = (['os', 'arch', 'hostname', 'dockerVersion'] as const).flatMap((key) => {
    const value = (host as Record<string, unknown>)[key]
    return typeof value === 'string' ? [[key, value] as const] : []
  })
  const measured = (['cpuPercent', 'memoryPercent', 'diskPercent'] as const).flatMap((key) => {
    const value = row.resources?.[key]
    return value === undefined ? [] : [[key, Math.min(100, Math.max(0, value))] as const]
  })
  return {
    id: row.id,
    tenantId: row.tenantId,
    name: row.name,
    version: row.version,
    status: row.status,
    state: row.state,
    capabilities: capabilitiesOf(row),
    labels: row.labels,
    lastHeartbeatAt: isoOrNull(row.lastHeartbeatAt),
    ...(measured.length > 0 ? { resources: Object.fromEntries(measured) } : {}),
    runningTasks: row.running,
    maxConcurrentTasks: row.maxTasks,
    certificate: certificate && {
      ...certificate,
      notBefore: iso(Date.parse(certificate.notBefore)),
      expiresAt: iso(Date.parse(certificate.expiresAt)),
    },
    ...(known.length > 0 ? { host: Object.fromEntries(known) } : {}),
    registeredAt: iso(row.registeredAt),
    rowVersion: row.rowVersion,
  }
}

/** A live agent; 404 when there is none. `lock` keeps it unchanged until the transaction ends. */
export async function getAgent(tx: Tx, id: string, lock = false): Promise<AgentRow> {
  const row = await tx.maybe<AgentRow>(
    sql<AgentRow>`select ${columns} from agents where agents.id = ${id} and agents.deleted_at is null ${lock ? sql`for update` : sql``}`,
  )
  if (!row) throw new Fault('RES_NOT_FOUND', { id })
  return row
}

/** Completes the row of an agent that has just been enrolled. */
export const saveRegistration = (
  tx: Tx,
  now: Instant,
  agent: {
    id: string
    version: string
    capabilities: readonly string[]
    host: object
    maxTasks: number
    config: StoredConfig
  },
): Promise<number> =>
  tx.run(sql`
    update agents set version = ${agent.version}, capabilities = ${[...agent.capabilities]}, host = ${jsonb(agent.host)},
      max_tasks = ${agent.maxTasks}, config = ${jsonb(agent.config)}, updated_at = ${at(now)}
     where id = ${agent.id}`)

export const saveSettings = (
  tx: Tx,
  now: Instant,
  row: Pick<AgentRow, 'id' | 'labels' | 'maxTasks' | 'state' | 'config'>,
): Promise<number> =>
  tx.run(sql`
    update agents set labels = ${jsonb(row.labels)}, max_tasks = ${row.maxTasks}, state = ${row.state}, config = ${jsonb(row.config)},
      updated_at = ${at(now)}, row_version = row_version + 1
     where id = ${row.id}`)

/** Writes what an agent says of itself, where it says something new. */
export const saveReport = (
  tx: Tx,
  now: Instant,
  id: string,
  report: { version: string; status: string; capabilities: readonly string[] },
): Promise<number> =>
  tx.run(sql`
    update agents set version = ${report.version}, reported_status = ${report.status}, capabilities = ${[...report.capabilities]}, updated_at = ${at(now)}
     where id = ${id} and (version, reported_status, capabilities) is distinct from (${report.version}, ${report.status}, ${[...report.capabilities]}::text[])`)

const HISTORY = 60

/** Each heartbeat has its place among sixty, by its time: the newest takes that of the oldest. */
export const noteHeartbeat = (
  tx: Tx,
  now: Instant,
  agentId: string,
  beat: { intervalMs: number; cpuPercent: number; memoryPercent: number },
): Promise<number> =>
  tx.run(sql`
    insert into agent_heartbeats (tenant_id, agent_id, slot, at, cpu_percent, memory_percent)
    values (${tx.tenantId}, ${agentId}, ${Math.floor(now / beat.intervalMs) % HISTORY}, ${at(now)}, ${beat.cpuPercent}, ${beat.memoryPercent})
    on conflict (tenant_id, agent_id, slot) do update set at = excluded.at, cpu_percent = excluded.cpu_percent, memory_percent = excluded.memory_percent`)

/** The last heartbeats, newest first. */
export async function heartbeatHistory(
  tx: Tx,
  agentId: string,
): Promise<{ at: string; cpuPercent: number | null; memoryPercent: number | null }[]> {
  const rows = await tx.many<{ at: Instant; cpuPercent: number | null; memoryPercent: number | null }>(sql`
    select at, cpu_percent as "cpuPercent", memory_percent as "memoryPercent" from agent_heartbeats
     where agent_id = ${agentId} order by at desc limit ${HISTORY}`)
  return rows.map((row) => ({ ...row, at: iso(row.at) }))
}
