import { storedRole } from '@wheelhouse/contract'
import { jobs } from '@wheelhouse/contract/jobs/index'
import { serve } from '../../kernel/http/index.ts'
import {
  changeUser,
  createUser,
  hashPassword,
  listUsers,
  removeUser,
  requireStrongPassword,
} from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { endSessions, manageable, refused, requireGrantable, tenantNamed, userNotFound } from './service.ts'
import { shownUser } from './shown.ts'

/** jobs.md §3. */
export const routes = (kernel: Kernel) =>
  serve('jobs', jobs.users, {
    async createUser({ principal, body, now, audit }) {
      const { username = '', password = '', email = '', display_name = '', role = '' } = body
      if (username.trim() === '') throw refused('username required')
      if (password === '') throw refused('password required')
      requireStrongPassword(password)
      const tenant = await tenantNamed(kernel.db, principal, body.tenant)
      const stored = storedRole(role === '' ? 'user' : role)
      const made = await kernel.db.tenant(tenant.id, async (tx) => {
        await requireGrantable(tx, principal, [stored])
        return createUser(tx, now, {
          tenantId: tenant.id,
          username: username.trim(),
          password,
          role: stored,
          ...(email.trim() === '' ? {} : { email: email.trim() }),
          ...(display_name === '' ? {} : { displayName: display_name }),
        })
      })
      audit({ resourceId: made.id, after: { username: made.username, roles: made.roles, tenant: tenant.slug } })
      return shownUser(made, tenant.slug)
    },

    async listUsers({ tx, principal }) {
      const users = await listUsers(tx)
      return { items: users.filter((user) => !user.disabled).map((user) => shownUser(user, principal.tenantSlug)) }
    },

    async updateUser({ tx, principal, params, body, now, audit }) {
      const before = await manageable(kernel, tx, principal, params.id)
      const role = body.roles?.[0] === undefined ? undefined : storedRole(body.roles[0])
      if (role !== undefined) await requireGrantable(tx, principal, [role])
      const after = await changeUser(tx, now, before.id, {
        ...(body.email === undefined ? {} : { email: body.email.trim() }),
        ...(body.display_name === undefined ? {} : { displayName: body.display_name }),
        ...(role === undefined ? {} : { role }),
      })
      if (!after) throw userNotFound()
      // Sessions begin anew with changed rights (decisions D8).
      if (role !== undefined && before.roles.join() !== after.roles.join())
        await endSessions(kernel, tx, before.id, 'too')
      audit({
        before: { email: before.email, displayName: before.displayName, roles: before.roles },
        after: { email: after.email, displayName: after.displayName, roles: after.roles },
      })
      return shownUser(after, principal.tenantSlug)
    },

    async deleteUser({ tx, principal, params, now }) {
      if (params.id === principal.id || params.id === principal.ownerId) throw refused('cannot delete your own account')
      const user = await manageable(kernel, tx, principal, params.id)
      await endSessions(kernel, tx, user.id, 'too')
      if (!(await removeUser(tx, now, user.id))) throw userNotFound()
      return {}
    },

    async setUserPassword({ tx, principal, params, body, now }) {
      const { password = '' } = body
      if (password === '') throw refused('password required')
      requireStrongPassword(password)
      const user = await manageable(kernel, tx, principal, params.id)
      await changeUser(tx, now, user.id, { passwordHash: await hashPassword(password) })
      await endSessions(kernel, tx, user.id, 'stay')
      return {}
    },
  })
