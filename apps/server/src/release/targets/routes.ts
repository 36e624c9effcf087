import { HEALTH_STATUSES, TARGET_TYPES } from '@wheelhouse/contract/release/targets'
import { release } from '@wheelhouse/contract/release/index'
import { listPage, sql, type Statement, type Tx } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { requireAccess, visible } from '../access.ts'
import { getEnvironment } from '../environments/tables.ts'
import { anyOf, deleted, labelConditions, listed, requireVersion, stamp } from '../resource.ts'
import { checkHealth, type HealthVerb } from './health.ts'
import { createTarget, deleteTarget, updateTarget } from './service.ts'
import { columns, getTarget, type TargetRow, toTarget } from './tables.ts'

const endpoints = release.targets

/** release.md §6.3. */
export const routes = (kernel: Kernel, verb: HealthVerb) => {
  const { vault } = kernel
  return serve('release', endpoints, {
    async create({ tx, principal, body, now, reply, audit }) {
      const row = await createTarget(tx, vault, principal, body, now)
      const after = toTarget(tx.tenantId, row)
      audit({ resourceId: row.id, environmentId: row.environmentId, after })
      return stamp(reply, after)
    },
    async list({ tx, principal, query, list }) {
      const where: Statement[] = [sql`targets.deleted_at is null`, ...visible(principal, 'target:read', ownEnvironment)]
      const one = (column: Statement, values: readonly string[] | undefined): void => {
        if (values) where.push(sql`${column} = any(${[...values]}::text[])`)
      }
      one(sql`targets.environment_id::text`, listed(query.environmentId))
      one(sql`targets.agent_id::text`, listed(query.agentId))
      one(sql`targets.type`, anyOf(query.type, TARGET_TYPES, 'type'))
      one(sql`targets.health_status`, anyOf(query.healthStatus, HEALTH_STATUSES, 'healthStatus'))
      where.push(...labelConditions(sql`targets.labels`, query.label))
      return listPage(
        tx,
        endpoints.list.list,
        { table: 'targets', select: columns, where, map: (row: TargetRow) => toTarget(tx.tenantId, row) },
        list,
      )
    },
    async get({ tx, principal, params, reply }) {
      const row = await getTarget(tx, params.id)
      await requireTargetAccess(tx, principal, 'target:read', row)
      // Nothing was ever deployed: there is no sticker, and nothing it could differ from.
      return stamp(reply, { ...toTarget(tx.tenantId, row), sticker: null, driftStatus: 'unknown' as const })
    },
    async update({ tx, principal, params, body, now, request, reply, audit }) {
      const row = await getTarget(tx, params.id, true)
      await requireTargetAccess(tx, principal, 'target:update', row)
      requireVersion(request, row.version)
      const after = toTarget(tx.tenantId, await updateTarget(tx, vault, principal, row, body, now))
      audit({ environmentId: row.environmentId, before: toTarget(tx.tenantId, row), after })
      return stamp(reply, after)
    },
    async remove({ tx, principal, params, now, request, reply, audit }) {
      const row = await getTarget(tx, params.id, true)
      await requireTargetAccess(tx, principal, 'target:delete', row)
      requireVersion(request, row.version)
      await deleteTarget(tx, principal, row, now)
      audit({ environmentId: row.environmentId, before: toTarget(tx.tenantId, row) })
      return deleted(request, reply)
    },
    async healthCheck({ principal, params, body, request, reply, audit }) {
      const timeoutMs = body.timeout * 1000
      const { report, settled, environmentId } = await checkHealth(
        kernel,
        verb,
        principal,
        params.id,
        timeoutMs,
        request.signal,
      )
      audit({ environmentId, jobId: settled.jobId, metadata: { status: report.status } })
      reply.header('X-Wheelhouse-Job', settled.jobId)
      if (settled.state === 'ended') return report
      return {
        ...report,
        jobId: settled.jobId,
        ...(settled.state === 'held' ? { approvalRequired: true as const } : {}),
      }
    },
  })
}

const ownEnvironment = {
  id: sql.ref('targets.environment_id'),
  isProduction: sql`(select is_production from environments e where e.tenant_id = targets.tenant_id and e.id = targets.environment_id)`,
}

const requireTargetAccess = async (
  tx: Tx,
  principal: Principal,
  permission: string,
  row: { environmentId: string },
): Promise<void> => requireAccess(principal, permission, await getEnvironment(tx, row.environmentId))
