import { release } from '@wheelhouse/contract/release/index'
import { listPage, sql, type Tx } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import type { Instant } from '../../kernel/clock/index.ts'
import { requireAccess, requireUnconfined, visible } from '../access.ts'
import { comingFreezes } from '../freeze-windows/tables.ts'
import { deleted, requireVersion, stamp } from '../resource.ts'
import { countTargets } from '../targets/tables.ts'
import { createEnvironment, deleteEnvironment, updateEnvironment } from './service.ts'
import { columns, type EnvironmentRow, getEnvironment, lockEnvironment, toEnvironment } from './tables.ts'

const endpoints = release.environments

/** release.md §6.1. */
export const routes = (_kernel: Kernel) =>
  serve('release', endpoints, {
    async create({ tx, principal, body, now, reply, audit }) {
      requireUnconfined(principal)
      const made = await createEnvironment(tx, principal, body, now)
      const after = toEnvironment(tx.tenantId, made, [])
      audit({ resourceId: made.id, environmentId: made.id, after })
      return stamp(reply, after)
    },
    async list({ tx, principal, query, list, now }) {
      const page = await listPage(
        tx,
        endpoints.list.list,
        {
          table: 'environments',
          select: columns,
          where: [
            sql`environments.deleted_at is null`,
            ...visible(principal, 'environment:read', {
              id: sql.ref('environments.id'),
              isProduction: sql.ref('environments.is_production'),
            }),
          ],
          map: (row: EnvironmentRow) => row,
        },
        list,
      )
      const freezes = await comingFreezes(
        tx,
        now,
        page.items.map(({ id }) => id),
      )
      return {
        ...page,
        items: page.items.map((row) => ({
          ...toEnvironment(tx.tenantId, row, freezes.get(row.id) ?? []),
          ...(query.includeState ? { currentRelease: null } : {}),
        })),
      }
    },
    async get({ tx, principal, params, now, reply }) {
      const row = await getEnvironment(tx, params.id)
      requireAccess(principal, 'environment:read', row)
      return stamp(reply, {
        ...(await shown(tx, row, now)),
        // Nothing can have been deployed: there are no promotions yet.
        currentRelease: null,
        lastDeploymentJobId: null,
        targetCount: await countTargets(tx, row.id),
      })
    },
    async update({ tx, principal, params, body, now, request, reply, audit }) {
      const row = await lockEnvironment(tx, params.id)
      requireAccess(principal, 'environment:update', row)
      requireVersion(request, row.version)
      const changed = await updateEnvironment(tx, principal, row, body, now)
      const after = await shown(tx, changed, now)
      audit({ environmentId: row.id, before: toEnvironment(tx.tenantId, row, after.freezeWindows), after })
      return stamp(reply, after)
    },
    async remove({ tx, principal, params, now, request, reply, audit }) {
      const row = await lockEnvironment(tx, params.id)
      requireAccess(principal, 'environment:delete', row)
      requireVersion(request, row.version)
      await deleteEnvironment(tx, principal, row, await countTargets(tx, row.id), now)
      audit({ environmentId: row.id, before: toEnvironment(tx.tenantId, row, []) })
      return deleted(request, reply)
    },
  })

const shown = async (tx: Tx, row: EnvironmentRow, now: Instant) =>
  toEnvironment(tx.tenantId, row, (await comingFreezes(tx, now, [row.id])).get(row.id) ?? [])
