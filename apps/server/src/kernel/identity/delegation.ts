import { Fault } from '@wheelhouse/contract'
import { type Db, sql } from '../db/index.ts'
import { ownerStanding } from './authenticate.ts'
import { can, type Principal } from './principal.ts'
import { patternsOf, type RoleRules } from './roles.ts'

/** The header by which a service says for whom it acts. */
export const ON_BEHALF_HEADER = 'x-on-behalf-of'

/** The members of a principal that a chain needs; stored principals have them too. */
export type Delegator = Pick<Principal, 'id' | 'onBehalfOf' | 'grants'>

/**
 * The principal as it acts for another: the other and its chain stand before the principal's own, nearest first, and it may do no more
 * than both may.
 */
export const actingFor = (principal: Principal, other: Delegator): Principal => ({
  ...principal,
  onBehalfOf: [...new Set([other.id, ...other.onBehalfOf, ...principal.onBehalfOf])].filter(
    (id) => id !== principal.id,
  ),
  grants: distinct([...principal.grants, ...other.grants]),
})

/** A chain of services with the same rights does not say so again and again. */
const distinct = (grants: readonly (readonly string[])[]): (readonly string[])[] => [
  ...new Map(grants.map((set) => [JSON.stringify(set), set])).values(),
]

/**
 * The principal as it acts for whom it names: a user by name, e-mail or id, or another principal by id. Needs `principal:delegate`.
 * Throws PERM_DENIED without it, or for one who is not there or frozen, which are told alike.
 */
export async function declaredFor(db: Db, rules: RoleRules, principal: Principal, named: string): Promise<Principal> {
  if (!can(principal, 'principal:delegate'))
    throw new Fault('PERM_DENIED', { required: 'principal:delegate', roles: principal.roles })
  const { tenantId } = principal
  const other = await db.auth(async (tx) => {
    const row = await tx.maybe<{
      id: string
      kind: Principal['kind']
      ownerId: string | null
      ownerKind: Principal['kind'] | null
    }>(sql`
      select p.id, p.kind, p.owner_id as "ownerId", o.kind as "ownerKind" from principals p
        left join principals o on o.tenant_id = p.tenant_id and o.id = p.owner_id
        left join users u on u.tenant_id = p.tenant_id and u.id = p.id and u.deleted_at is null
       where p.tenant_id = ${tenantId} and p.deleted_at is null and p.state = 'active' and coalesce(o.state, 'active') = 'active'
         and (p.id::text = ${named} or (p.kind = 'user' and (u.username_norm = ${named.toLowerCase()} or u.email_norm = ${named.toLowerCase()})))
       order by (p.id::text = ${named}) desc limit 1`)
    if (!row) return undefined
    // A key or a process has the rights of whom it belongs to at most.
    const standing = await ownerStanding(tx, rules, tenantId, row.ownerId ?? row.id, row.ownerKind ?? row.kind)
    return {
      id: row.id,
      onBehalfOf: row.ownerId === null ? [] : [row.ownerId],
      grants: [await patternsOf(tx, tenantId, standing.roles)],
    }
  })
  if (!other)
    throw new Fault('PERM_DENIED', { onBehalfOf: named }, { message: 'There is nobody active of this name to act for' })
  return actingFor(principal, other)
}
