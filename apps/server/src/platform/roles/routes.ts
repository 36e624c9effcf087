import { Fault } from '@wheelhouse/contract'
import { platform } from '@wheelhouse/contract/platform/index'
import { iso } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import { groupsOf, rightsOfRoles, userRoles } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { edgeName, edgeNames, shownRights } from '../edge-names.ts'
import { assignRoles, findRole, makeRole, removeRole, replaceRole, shownRole, unassignGroup } from './service.ts'
import { allAssignments, allRoles, type AssignmentRow, subjectNamed } from './tables.ts'

const shownAssignment = ({ group, roles, description, updated }: AssignmentRow) => ({
  group,
  roles: roles.map(edgeName).sort(),
  ...(description ? { description } : {}),
  updated: iso(updated),
})

/** platform.md §4A.1 to 4A.3. */
export const routes = ({ identity }: Kernel) => {
  /** Members feel it at their next request, on every replica. */
  const changed = (tx: Tx): void => tx.afterCommit(() => identity.changed())

  return serve('platform', platform.roles, {
    async listRoles({ tx }) {
      const roles = await Promise.all((await allRoles(tx)).map((role) => shownRole(tx, role)))
      return roles.sort((one, other) => (one.name < other.name ? -1 : 1))
    },
    async createRole({ tx, principal, now, body, audit }) {
      const role = await shownRole(tx, await makeRole(tx, principal, now, body))
      audit({ resourceId: role.name, after: role })
      return role
    },
    getRole: async ({ tx, params }) => shownRole(tx, await findRole(tx, params.name)),
    async replaceRole({ tx, principal, now, params, body, audit }) {
      const { before, after } = await replaceRole(tx, principal, now, params.name, body)
      const shown = await shownRole(tx, after)
      audit({ resourceId: params.name, before, after: shown })
      changed(tx)
      return shown
    },
    async deleteRole({ tx, params, audit }) {
      audit({ resourceId: params.name, before: await removeRole(tx, params.name) })
      return { deleted: params.name }
    },
    listAssignments: async ({ tx }) => (await allAssignments(tx)).map(shownAssignment),
    async assign({ tx, principal, now, body, audit }) {
      const { before, after } = await assignRoles(tx, principal, now, body)
      audit({ resourceId: body.group, before: before?.roles, after: after.roles })
      changed(tx)
      return shownAssignment(after)
    },
    async unassign({ tx, params, audit }) {
      const before = await unassignGroup(tx, params.group)
      audit({ resourceId: params.group, before: before?.roles })
      changed(tx)
      return { deleted: params.group }
    },
    async subjectRoles({ tx, params }) {
      const user = await subjectNamed(tx, params.subject)
      if (!user || user.lastSeen === null) throw new Fault('RES_NOT_FOUND', { kind: 'user', subject: params.subject })
      const groups = await groupsOf(tx, tx.tenantId, user.id)
      const roles = await userRoles(tx, identity.rules, tx.tenantId, user.id, groups)
      return {
        subject: user.subject,
        groups,
        roles: edgeNames(roles),
        ...shownRights(await rightsOfRoles(tx, tx.tenantId, roles)),
        admin: roles.includes('admin') || roles.includes('platform-admin'),
        lastSeen: iso(user.lastSeen),
      }
    },
  })
}
