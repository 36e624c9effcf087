import { release } from '@wheelhouse/contract/release/index'
import { listPage, sql, type Statement } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { requireAccess } from '../access.ts'
import { getEnvironment } from '../environments/tables.ts'
import { deleted } from '../resource.ts'
import { createFreezeWindow, removeFreezeWindow } from './service.ts'
import { columns, isActive, overlaps, toFreezeWindow } from './tables.ts'

const endpoints = release.freezeWindows

/** release.md §6.2. */
export const routes = (_kernel: Kernel) =>
  serve('release', endpoints, {
    async create({ tx, principal, params, body, now, audit }) {
      const made = await createFreezeWindow(tx, principal, params.envId, body, now)
      audit({ resourceId: made.id, environmentId: params.envId, after: made })
      return made
    },
    async list({ tx, principal, params, query, list, now }) {
      requireAccess(principal, 'environment:read', await getEnvironment(tx, params.envId))
      const where: Statement[] = [sql`freeze_windows.environment_id = ${params.envId}`]
      if (query.active !== undefined) where.push(sql`${isActive(now)} = ${query.active}`)
      if (query.from !== undefined || query.to !== undefined) {
        where.push(
          overlaps(
            query.from === undefined ? undefined : Date.parse(query.from),
            query.to === undefined ? undefined : Date.parse(query.to),
          ),
        )
      }
      return listPage(
        tx,
        endpoints.list.list,
        {
          table: 'freeze_windows',
          select: columns(now),
          where,
          columns: {
            start: sql.ref('freeze_windows.starts_at'),
            end: sql.ref('freeze_windows.ends_at'),
            active: isActive(now),
          },
          map: toFreezeWindow,
        },
        list,
      )
    },
    async remove({ tx, principal, params, now, request, reply, audit }) {
      const before = await removeFreezeWindow(tx, principal, params.envId, params.windowId, now)
      audit({ resourceId: before.id, environmentId: params.envId, before })
      return deleted(request, reply)
    },
  })
