import { Fault } from '@wheelhouse/contract'
import { fleet } from '@wheelhouse/contract/fleet/index'
import { LIFECYCLE_ACTIONS } from '@wheelhouse/contract/fleet/words'
import { serve } from '../../kernel/http/index.ts'
import { can } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { findInstance, findInstances, type InstanceRow } from '../instances/tables.ts'
import { act, driverMissing } from './actions.ts'
import { allowedActions, allows } from './state.ts'

/** What an instance can be made to do with its provider (fleet.md §2, Instance Lifecycle). */
export const routes = ({ db }: Kernel) =>
  serve('fleet', fleet.lifecycle, {
    suspendInstance: async ({ tx, principal, params }) => act(await findInstance(tx, principal, params.id), 'suspend'),
    resumeInstance: async ({ tx, principal, params }) => act(await findInstance(tx, principal, params.id), 'resume'),
    destroyInstance: async ({ tx, principal, params }) => act(await findInstance(tx, principal, params.id), 'destroy'),
    backupInstance: async ({ tx, principal, params }) => act(await findInstance(tx, principal, params.id), 'backup'),

    async bulkAction({ principal, body }) {
      const { action, instanceIds } = body
      if (!can(principal, `instance:${action}`)) throw new Fault('PERM_DENIED', { required: `instance:${action}` })
      const rows = await db.tenant(principal.tenantId, (tx) => findInstances(tx, principal, instanceIds))
      const known = new Map(rows.map((row) => [row.id, row]))
      const results = instanceIds.map((id) => attempt(id, known.get(id), action))
      const succeeded = results.filter(({ success }) => success).length
      return {
        message: `Bulk ${action} completed`,
        action,
        results,
        summary: { total: results.length, succeeded, failed: results.length - succeeded },
      }
    },

    async getLifecycle({ tx, principal, params }) {
      const row = await findInstance(tx, principal, params.id)
      return {
        instanceId: row.id,
        status: row.status,
        availableActions: allowedActions(row.status),
        actions: LIFECYCLE_ACTIONS.map((action) => ({
          action,
          possible: false,
          reason: allows(row.status, action)
            ? driverMissing(row, action)
            : `An instance that is ${row.status} cannot ${action}`,
        })),
      }
    },
  })

/** One of a bulk: its refusal is its result. */
function attempt(id: string, row: InstanceRow | undefined, action: 'suspend' | 'resume' | 'destroy') {
  const refused = (error: string) => ({ id, name: row?.name ?? id, success: false, error, newStatus: null })
  if (!row) return refused(`Instance '${id}' was not found`)
  try {
    return act(row, action)
  } catch (error) {
    if (error instanceof Fault) return refused(error.message)
    throw error
  }
}
