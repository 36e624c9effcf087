import { BUILT_IN_ROLES, type BuiltInRole, floorPermissions, rolePatterns } from '@wheelhouse/contract'
import { sql, type Tx } from '../db/index.ts'

/** Patterns of the built-in roles; computed once, since the contract does not change while we run. */
const builtIn = new Map<string, readonly string[]>(
  BUILT_IN_ROLES.map((role) => [role, rolePatterns(role, floorPermissions)]),
)

const isBuiltIn = (name: string): name is BuiltInRole => builtIn.has(name)

/** All patterns that these roles grant together; unknown names grant nothing. */
export async function patternsOf(tx: Tx, tenantId: string, roles: readonly string[]): Promise<string[]> {
  const own = roles.filter((role) => !isBuiltIn(role))
  const rows =
    own.length === 0
      ? []
      : await tx.many<{ patterns: string[] }>(
          sql`select patterns from roles where tenant_id = ${tenantId} and name = any(${own})`,
        )
  return [...new Set([...roles.flatMap((role) => builtIn.get(role) ?? []), ...rows.flatMap((row) => row.patterns)])]
}

/** The roles that a principal holds by itself or through its groups. */
export async function rolesOf(
  tx: Tx,
  tenantId: string,
  principalId: string,
  groups: readonly string[],
): Promise<string[]> {
  const rows = await tx.many<{ role: string }>(sql`
    select distinct role from role_bindings
     where tenant_id = ${tenantId} and (principal_id = ${principalId} or group_name = any(${[...groups]}))
     order by role`)
  return rows.map((row) => row.role)
}

export async function groupsOf(tx: Tx, tenantId: string, principalId: string): Promise<string[]> {
  const rows = await tx.many<{ group_name: string }>(sql`
    select group_name from group_members where tenant_id = ${tenantId} and principal_id = ${principalId} order by group_name`)
  return rows.map((row) => row.group_name)
}

/** Makes the built-in roles of a new tenant, so that lists and assignments name them like any other. */
export async function installRoles(tx: Tx, tenantId: string): Promise<void> {
  await tx.run(sql`
    insert into roles (tenant_id, name, description, patterns, built_in)
    select ${tenantId}, name, 'Built-in role', '{}', true from unnest(${[...BUILT_IN_ROLES]}::text[]) as name
    on conflict do nothing`)
}
