import { Fault } from '@wheelhouse/contract'
import { sql, type Statement } from '../kernel/db/index.ts'
import { can, type Principal } from '../kernel/identity/index.ts'

/** What rights of the release surface depend on: which environment a thing belongs to (release.md §3.3). */
export interface Place {
  id: string
  isProduction: boolean
}

const isOutside = ({ envScopes }: Principal, environmentId: string): boolean =>
  envScopes !== undefined && !envScopes.includes('*') && !envScopes.includes(environmentId)

/** Throws PERM_ENVIRONMENT_SCOPE outside the credential's environments, PERM_DENIED where a `@non-production` grant ends. */
export function requireAccess(principal: Principal, permission: string, environment: Place): void {
  if (isOutside(principal, environment.id))
    throw new Fault('PERM_ENVIRONMENT_SCOPE', { environmentId: environment.id, envScopes: principal.envScopes })
  if (!can(principal, permission, { environment }))
    throw new Fault('PERM_DENIED', { required: permission, environmentId: environment.id, isProduction: true })
}

/** Confined credentials make no environments: a new one is in nobody's list. */
export function requireUnconfined({ envScopes }: Principal): void {
  if (envScopes !== undefined && !envScopes.includes('*')) throw new Fault('PERM_ENVIRONMENT_SCOPE', { envScopes })
}

/**
 * Conditions that narrow a list, silently, to the environments that the principal may see.
 * `id` is the column that holds the environment's id, `isProduction` the one (or sub-select) that tells whether it is production.
 */
export function visible(
  principal: Principal,
  permission: string,
  column: { id: Statement; isProduction: Statement },
): Statement[] {
  const { envScopes } = principal
  const conditions: Statement[] = []
  if (envScopes && !envScopes.includes('*')) conditions.push(sql`${column.id} = any(${[...envScopes]}::uuid[])`)
  const unconfined: Principal = { ...principal, envScopes: ['*'] }
  if (!can(unconfined, permission, { environment: { id: '', isProduction: true } }))
    conditions.push(sql`not ${column.isProduction}`)
  return conditions
}
