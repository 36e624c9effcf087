import { Fault } from '@wheelhouse/contract'
import type { HealthCheck } from '@wheelhouse/contract/release/shapes'
import type { HealthStatus, Target, TargetType } from '@wheelhouse/contract/release/targets'
import { type Instant, iso, isoOrNull } from '../../kernel/clock/index.ts'
import { at, jsonb, sql, type Tx } from '../../kernel/db/index.ts'

/** A target as stored. Its connection's secrets are sealed apart. */
export interface TargetRow {
  id: string
  environmentId: string
  targetGroupId: string | null
  name: string
  displayName: string | null
  type: TargetType
  connection: Record<string, unknown>
  sealedSecrets: string | null
  capabilities: string[]
  labels: Record<string, string>
  agentId: string | null
  healthCheck: HealthCheck | null
  healthStatus: HealthStatus
  lastHealthCheck: Instant | null
  lastHealthMessage: string | null
  maintenance: boolean
  lastSyncAt: Instant | null
  createdBy: string
  createdAt: Instant
  updatedAt: Instant
  version: number
}

export const columns = sql`targets.id, targets.environment_id as "environmentId", targets.target_group_id as "targetGroupId", targets.name,
  targets.display_name as "displayName", targets.type, targets.connection, targets.sealed_secrets as "sealedSecrets", targets.capabilities,
  targets.labels, targets.agent_id as "agentId", targets.health_check as "healthCheck", targets.health_status as "healthStatus",
  targets.last_health_check as "lastHealthCheck", targets.last_health_message as "lastHealthMessage", targets.maintenance,
  targets.last_sync_at as "lastSyncAt", targets.created_by as "createdBy", targets.created_at as "createdAt",
  targets.updated_at as "updatedAt", targets.version`

/** `currentRelease` is null: nothing can have been deployed before there are promotions. */
export const toTarget = (
  tenantId: string,
  { sealedSecrets: _sealed, createdBy: _creator, displayName, healthCheck, ...row }: TargetRow,
): Target => ({
  ...row,
  tenantId,
  ...(displayName === null ? {} : { displayName }),
  ...(healthCheck === null ? {} : { healthCheck }),
  lastHealthCheck: isoOrNull(row.lastHealthCheck),
  lastSyncAt: isoOrNull(row.lastSyncAt),
  currentRelease: null,
  createdAt: iso(row.createdAt),
  updatedAt: iso(row.updatedAt),
})

/** The target; 404 when there is none, or it was deleted. `lock` keeps it unchanged until the transaction ends. */
export async function getTarget(tx: Tx, id: string, lock = false): Promise<TargetRow> {
  const row = await tx.maybe<TargetRow>(
    sql<TargetRow>`select ${columns} from targets where id = ${id} and deleted_at is null ${lock ? sql`for update` : sql``}`,
  )
  if (!row) throw new Fault('RES_NOT_FOUND', { id })
  return row
}

export async function countTargets(tx: Tx, environmentId: string): Promise<number> {
  const { n } = await tx.one<{ n: number }>(
    sql`select count(*) as n from targets where environment_id = ${environmentId} and deleted_at is null`,
  )
  return n
}

export const insertTarget = (tx: Tx, row: TargetRow): Promise<number> =>
  tx.run(sql`
    insert into targets (tenant_id, id, environment_id, target_group_id, name, display_name, type, connection, sealed_secrets, capabilities,
      labels, agent_id, health_check, created_by, created_at, updated_at)
    values (${tx.tenantId}, ${row.id}, ${row.environmentId}, ${row.targetGroupId}, ${row.name}, ${row.displayName}, ${row.type},
      ${jsonb(row.connection)}, ${row.sealedSecrets}, ${row.capabilities}, ${jsonb(row.labels)}, ${row.agentId},
      ${row.healthCheck === null ? null : jsonb(row.healthCheck)}, ${row.createdBy}, ${at(row.createdAt)}, ${at(row.updatedAt)})`)

export const saveTarget = (tx: Tx, row: TargetRow): Promise<number> =>
  tx.run(sql`
    update targets set target_group_id = ${row.targetGroupId}, name = ${row.name}, display_name = ${row.displayName},
      connection = ${jsonb(row.connection)}, sealed_secrets = ${row.sealedSecrets}, labels = ${jsonb(row.labels)}, agent_id = ${row.agentId},
      health_check = ${row.healthCheck === null ? null : jsonb(row.healthCheck)}, maintenance = ${row.maintenance},
      updated_at = ${at(row.updatedAt)}, version = version + 1
     where id = ${row.id}`)

export const markDeleted = (tx: Tx, id: string, now: Instant): Promise<number> =>
  tx.run(
    sql`update targets set deleted_at = ${at(now)}, sealed_secrets = null, updated_at = ${at(now)}, version = version + 1 where id = ${id}`,
  )

/** Notes what a check found. A later check that was faster is not overwritten. Answers the status before, when it changed. */
export async function noteHealth(
  tx: Tx,
  id: string,
  found: { status: HealthStatus; checkedAt: Instant; message: string | null },
): Promise<{ before: HealthStatus; name: string; environmentId: string } | undefined> {
  const row = await tx.maybe<{ before: HealthStatus; name: string; environmentId: string }>(sql`
    update targets set health_status = ${found.status}, last_health_check = ${at(found.checkedAt)}, last_health_message = ${found.message}
      from (select id as before_id, health_status as before from targets where id = ${id} and deleted_at is null for update) as before
     where targets.id = before_id and coalesce(last_health_check <= ${at(found.checkedAt)}, true)
    returning before, name, environment_id as "environmentId"`)
  return row && row.before !== found.status ? row : undefined
}
