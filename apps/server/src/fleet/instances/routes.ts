import { fleet } from '@wheelhouse/contract/fleet/index'
import { iso } from '../../kernel/clock/index.ts'
import { listPage, type Statement, sql } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { deregister } from '../lifecycle/deregister.ts'
import { act } from '../lifecycle/actions.ts'
import { configYaml } from './config-yaml.ts'
import { register } from './registration.ts'
import { findInstance, instanceColumns, type InstanceRow, lastHeartbeats, shown } from './tables.ts'
import { visibleInstances } from './visibility.ts'

/** The machines of the fleet (fleet.md §2, Instances). */
export const routes = (_kernel: Kernel) =>
  serve('fleet', fleet.instances, {
    registerInstance: ({ tx, principal, body, now, audit }) =>
      register(tx, principal, body, now).then((made) => {
        audit({ resourceId: made.id })
        return made
      }),
    registerInstanceAlias: ({ tx, principal, body, now, audit }) =>
      register(tx, principal, body, now).then((made) => {
        audit({ resourceId: made.id })
        return made
      }),

    async listInstances({ tx, principal, query, list, now }) {
      const where: Statement[] = [visibleInstances(principal)]
      if (query.provider !== undefined) where.push(sql`instances.provider = ${query.provider}`)
      if (query.status !== undefined) where.push(sql`instances.status = ${query.status}`)
      if (query.region !== undefined) where.push(sql`instances.region = ${query.region}`)
      if (query.distro !== undefined) where.push(sql`instances.distro = ${query.distro}`)
      if (query.search !== undefined) {
        const wanted = query.search.toLowerCase()
        where.push(
          sql`(strpos(lower(instances.name), ${wanted}) > 0 or strpos(lower(instances.id), ${wanted}) > 0 or strpos(lower(instances.region), ${wanted}) > 0)`,
        )
      }
      const page = await listPage<InstanceRow, InstanceRow>(
        tx,
        fleet.instances.listInstances.list,
        { table: 'instances', select: instanceColumns, where, map: (row) => row },
        list,
      )
      const beats = await lastHeartbeats(
        tx,
        now,
        page.items.map(({ id }) => id),
      )
      return { ...page, items: page.items.map((row) => ({ ...shown(row), lastHeartbeat: beats.get(row.id) ?? null })) }
    },

    async getInstance({ tx, principal, params, now }) {
      const row = await findInstance(tx, principal, params.id)
      return { ...shown(row), lastHeartbeat: (await lastHeartbeats(tx, now, [row.id])).get(row.id) ?? null }
    },

    async deleteInstance({ tx, principal, params, query, body, now }) {
      const row = await findInstance(tx, principal, params.id)
      // fleet.md §2: one handler; a wish for a backup or `destroy=true` asks for the full destroy.
      if (query.destroy === true || body.backupVolume === true) return act(row, 'destroy')
      return deregister(tx, principal, row, now)
    },

    async getInstanceConfig({ tx, principal, params }) {
      const row = await findInstance(tx, principal, params.id)
      return {
        instanceId: row.id,
        name: row.name,
        config: configYaml(row),
        configHash: row.configHash,
        updatedAt: iso(row.updatedAt),
      }
    },
  })
