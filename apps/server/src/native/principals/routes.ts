import { type EventType, Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { iso } from '../../kernel/clock/index.ts'
import { listPage, sql } from '../../kernel/db/index.ts'
import { publish } from '../../kernel/events/index.ts'
import { serve } from '../../kernel/http/index.ts'
import { actorOf, groupsOf, holds, patternsOf, type Principal, rolesOf } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { chainOf, countJobs, findPrincipal, ownedBy, principalColumns, type PrincipalRow } from './tables.ts'

const shown = ({ id, kind, name, subject, state, owner, createdAt }: PrincipalRow) => ({
  id,
  kind,
  name,
  subject,
  state,
  owner,
  createdAt: iso(createdAt),
})

/** Stopping whoever acts, and letting them act again. */
export const routes = ({ db, identity }: Kernel) => {
  /** Nobody stops, or lets loose, who may do more than they. */
  async function requireReach(principal: Principal, id: string): Promise<void> {
    await db.tenant(principal.tenantId, async (tx) => {
      const known = await tx.maybe<{ id: string; roles: string[] | null }>(sql`
        select p.id, k.roles from principals p left join api_keys k on k.tenant_id = p.tenant_id and k.id = p.id
         where p.id::text = ${id} and p.deleted_at is null`)
      if (!known) throw new Fault('RES_NOT_FOUND', { kind: 'principal', id })
      const groups = await groupsOf(tx, tx.tenantId, known.id)
      const roles = [...(known.roles ?? []), ...(await rolesOf(tx, tx.tenantId, known.id, groups))]
      if (!holds(principal, await patternsOf(tx, tx.tenantId, roles)))
        throw new Fault('PERM_DENIED', { id }, { message: 'This principal holds more than you' })
    })
  }

  const announce = (
    principal: Principal,
    id: string,
    type: EventType & `principal.${string}`,
    now: number,
  ): Promise<string> =>
    db.tenant(principal.tenantId, (tx) =>
      publish(tx, { type, resource: { kind: 'principal', id }, actor: actorOf(principal), data: {}, at: now }),
    )

  return serve('native', native.principals, {
    list: ({ tx, list }) =>
      listPage<PrincipalRow, ReturnType<typeof shown>>(
        tx,
        native.principals.list.list,
        {
          table: 'principals',
          select: principalColumns,
          where: [sql`principals.deleted_at is null and principals.kind <> 'system'`],
          map: shown,
        },
        list,
      ),
    async get({ tx, params }) {
      const row = await findPrincipal(tx, params.id)
      if (!row) throw new Fault('RES_NOT_FOUND', { kind: 'principal', id: params.id })
      const groups = await groupsOf(tx, tx.tenantId, row.id)
      return {
        ...shown(row),
        roles: [...new Set([...(row.keyRoles ?? []), ...(await rolesOf(tx, tx.tenantId, row.id, groups))])],
        chain: await chainOf(tx, row.id),
        owns: await ownedBy(tx, row.id),
        jobs: await countJobs(tx, row.id),
        lastSeenAt: row.lastSeenAt === null ? null : iso(row.lastSeenAt),
      }
    },
    async freeze({ principal, params, now, audit }) {
      const { id } = params
      if (id === principal.id || id === principal.ownerId)
        throw new Fault('RES_CONFLICT', { id }, { message: 'You would stop yourself' })
      await requireReach(principal, id)
      await identity.freezePrincipal(principal.tenantId, id)
      await announce(principal, id, 'principal.frozen', now)
      audit({ resourceId: id })
      return { id, state: 'frozen' as const }
    },
    async thaw({ principal, params, now, audit }) {
      const { id } = params
      await requireReach(principal, id)
      await identity.thawPrincipal(principal.tenantId, id)
      await announce(principal, id, 'principal.thawed', now)
      audit({ resourceId: id })
      return { id, state: 'active' as const }
    },
  })
}
