import type { Heartbeat, Instance } from '@wheelhouse/contract/fleet/instances'
import type { EventType, InstanceStatus } from '@wheelhouse/contract/fleet/words'
import { ids, type Instant, iso } from '../../kernel/clock/index.ts'
import { at, jsonb, sql, type Tx } from '../../kernel/db/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import { notFound, visibleInstances } from './visibility.ts'

export interface InstanceRow {
  id: string
  name: string
  provider: string
  region: string | null
  distro: string | null
  extensions: string[]
  configHash: string | null
  sshEndpoint: string | null
  status: InstanceStatus
  teamId: string | null
  agentId: string | null
  hostname: string | null
  agentVersion: string | null
  os: string | null
  arch: string | null
  tags: Record<string, string>
  createdAt: Instant
  updatedAt: Instant
}

export const instanceColumns = sql`instances.id, instances.name, instances.provider, instances.region, instances.distro, instances.extensions,
  instances.config_hash as "configHash", instances.ssh_endpoint as "sshEndpoint", instances.status, instances.team_id as "teamId",
  instances.agent_id as "agentId", instances.hostname, instances.agent_version as "agentVersion", instances.os, instances.arch, instances.tags,
  instances.created_at as "createdAt", instances.updated_at as "updatedAt"`

/** The instance as the surface shows it. */
export function shown({ agentId: _, createdAt, updatedAt, ...row }: InstanceRow): Instance {
  return { ...row, createdAt: iso(createdAt), updatedAt: iso(updatedAt) }
}

/** One instance that the caller may see; else 404, whether it is hidden or not there. */
export async function findInstance(tx: Tx, principal: Principal, id: string): Promise<InstanceRow> {
  const row = await tx.maybe<InstanceRow>(
    sql`select ${instanceColumns} from instances where id = ${id} and ${visibleInstances(principal)}`,
  )
  if (!row) throw notFound(id)
  return row
}

/** The instances among these ids that the caller may see. */
export const findInstances = (tx: Tx, principal: Principal, wanted: readonly string[]): Promise<InstanceRow[]> =>
  tx.many<InstanceRow>(
    sql`select ${instanceColumns} from instances where id = any(${[...wanted]}) and ${visibleInstances(principal)}`,
  )

/** The row that an agent means by what it calls itself: by id, else the live or latest one of that name (fleet.md §2). */
export const findByExternalId = (tx: Tx, externalId: string): Promise<InstanceRow | undefined> =>
  tx.maybe<InstanceRow>(sql`
    select ${instanceColumns} from instances
     where (id = ${externalId} or name = ${externalId}) and status <> 'DESTROYED'
     order by (id = ${externalId}) desc, (status = 'ERROR'), created_at desc limit 1`)

/** Moves an instance to a status out of some; the WHERE clause is the guard. Undefined when it was in none of them. */
export const moveStatus = (
  tx: Tx,
  now: Instant,
  id: string,
  from: readonly InstanceStatus[],
  to: InstanceStatus,
): Promise<InstanceRow | undefined> =>
  tx.maybe<InstanceRow>(sql`
    update instances set status = ${to}, updated_at = ${at(now)} where id = ${id} and status = any(${[...from]})
    returning ${instanceColumns}`)

export interface NewInstanceEvent {
  instanceId: string
  type: EventType
  at: Instant
  metadata?: Readonly<Record<string, unknown>>
}

/** Adds to the history of an instance. */
export async function addEvent(tx: Tx, event: NewInstanceEvent): Promise<void> {
  await tx.run(sql`
    insert into instance_events (tenant_id, id, instance_id, type, at, metadata)
    values (${tx.tenantId}, ${ids.next()}, ${event.instanceId}, ${event.type}, ${at(event.at)},
            ${event.metadata === undefined ? null : jsonb(event.metadata)})`)
}

interface BeatRow {
  instance_id: string
  beat_at: Instant
  cpu_percent: number | null
  memory_used: number | null
  memory_total: number | null
  disk_used: number | null
  disk_total: number | null
  uptime_seconds: number
}

/**
 * The last heartbeat of each of these instances, for at most a page of them. Its resources are those of the newest sample of the
 * last day where the heartbeat itself carries none (fleet.md §3.16).
 */
export async function lastHeartbeats(tx: Tx, now: Instant, wanted: readonly string[]): Promise<Map<string, Heartbeat>> {
  if (wanted.length === 0) return new Map()
  const since = at(now - 7 * 86_400_000)
  const rows = await tx.many<BeatRow>(sql`
    select wanted.id as instance_id, beat.at as beat_at, coalesce(beat.cpu_percent, sample.cpu_percent) as cpu_percent,
           coalesce(beat.memory_used, sample.mem_used) as memory_used, coalesce(beat.memory_total, sample.mem_total) as memory_total,
           coalesce(beat.disk_used, sample.disk_used) as disk_used, coalesce(beat.disk_total, sample.disk_total) as disk_total,
           beat.uptime_seconds
      from unnest(${[...wanted]}::text[]) as wanted (id)
     cross join lateral (
       select * from heartbeats where instance_id = wanted.id and at > ${since} order by at desc, id desc limit 1) beat
      left join lateral (
       select * from metrics where instance_id = wanted.id and at > ${since} order by at desc, id desc limit 1) sample on true`)
  return new Map(
    rows.map((row) => [
      row.instance_id,
      {
        cpuPercent: row.cpu_percent ?? 0,
        memoryUsedBytes: String(row.memory_used ?? 0),
        memoryTotalBytes: String(row.memory_total ?? 0),
        diskUsedBytes: String(row.disk_used ?? 0),
        diskTotalBytes: String(row.disk_total ?? 0),
        uptimeSeconds: String(row.uptime_seconds),
        timestamp: iso(row.beat_at),
      },
    ]),
  )
}
