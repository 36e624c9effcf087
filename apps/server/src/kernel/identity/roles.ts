import { BUILT_IN_ROLES, type BuiltInRole, floorPermissions, rolePatterns } from '@wheelhouse/contract'
import { jsonb, sql, type Tx } from '../db/index.ts'
import type { SubjectPermissions } from './subject-rights.ts'

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

/** A provider's group path may begin with a slash; neither side minds (platform.md §9.1). */
export const bareGroup = (name: string): string => (name.startsWith('/') ? name.slice(1) : name)

/** Both spellings of each group, as a binding may hold either. */
export const groupSpellings = (groups: readonly string[]): string[] => [
  ...new Set(groups.flatMap((name) => [bareGroup(name), `/${bareGroup(name)}`])),
]

/** The roles that a principal holds by itself or through its groups. */
export async function rolesOf(
  tx: Tx,
  tenantId: string,
  principalId: string,
  groups: readonly string[],
): Promise<string[]> {
  const rows = await tx.many<{ role: string }>(sql`
    select distinct role from role_bindings
     where tenant_id = ${tenantId} and (principal_id = ${principalId} or group_name = any(${groupSpellings(groups)}))
     order by role`)
  return rows.map((row) => row.role)
}

/** What the installation says of roles beside the bindings (platform.md §9.1). */
export interface RoleRules {
  /** Their members are administrators. */
  adminGroups?: readonly string[]
  /** The role of a user that nothing else matches. */
  defaultRole: string
}

/** The roles of a user by platform.md §9.1: bindings, then the default role; an administrators' group adds `admin`. */
export async function userRoles(
  tx: Tx,
  rules: RoleRules,
  tenantId: string,
  principalId: string,
  groups: readonly string[],
): Promise<string[]> {
  const bound = await rolesOf(tx, tenantId, principalId, groups)
  const roles = bound.length === 0 ? [rules.defaultRole] : bound
  const held = new Set(groups.map(bareGroup))
  const isAdmin = (rules.adminGroups ?? []).some((name) => held.has(bareGroup(name)))
  return isAdmin && !roles.includes('admin') ? [...roles, 'admin'] : roles
}

export async function groupsOf(tx: Tx, tenantId: string, principalId: string): Promise<string[]> {
  const rows = await tx.many<{ group_name: string }>(sql`
    select group_name from group_members where tenant_id = ${tenantId} and principal_id = ${principalId} order by group_name`)
  return rows.map((row) => row.group_name)
}

/** What a viewer reads of the platform's own services, and nothing of any extension's (platform.md §9.2). */
const VIEWER_SUBJECTS: Subjects = {
  pub: { allow: ['cirata.services.storage.get', 'cirata.services.storage.list', 'cirata.services.config.get'] },
  sub: { allow: ['cirata.extensions.>'] },
  extensions: ['*'],
}

/** Whoever builds an extension is a developer (unification §3). */
const BUILDER_SUBJECTS: Subjects = {
  pub: { allow: ['cirata.extensions.>', 'cirata.services.>'] },
  sub: { allow: ['cirata.extensions.>', 'cirata.services.>'] },
  extensions: ['*'],
}

/** A CAP worker of the tenant's account (decisions D2). */
const WORKER_SUBJECTS: Subjects = {
  pub: { allow: ['sys.job.result', 'sys.job.progress', 'sys.heartbeat', 'sys.alert'] },
  sub: { allow: ['job.>', 'worker.>', 'sys.job.cancel'] },
  extensions: [],
}

interface Subjects {
  pub: SubjectPermissions
  sub: SubjectPermissions
  extensions: string[]
}

const BUILT_IN_SUBJECTS: Record<BuiltInRole, Subjects> = {
  viewer: VIEWER_SUBJECTS,
  user: VIEWER_SUBJECTS,
  approver: VIEWER_SUBJECTS,
  security: VIEWER_SUBJECTS,
  developer: BUILDER_SUBJECTS,
  'release-manager': BUILDER_SUBJECTS,
  operator: {
    pub: {
      allow: [
        ...(BUILDER_SUBJECTS.pub.allow ?? []),
        ...(WORKER_SUBJECTS.pub.allow ?? []),
        'sys.job.submit',
        'sys.job.cancel',
      ],
    },
    sub: { allow: [...(BUILDER_SUBJECTS.sub.allow ?? []), ...(WORKER_SUBJECTS.sub.allow ?? []), 'sys.workflow.event'] },
    extensions: ['*'],
  },
  admin: { pub: { allow: ['>'] }, sub: { allow: ['>'] }, extensions: ['*'] },
  'platform-admin': { pub: { allow: ['>'] }, sub: { allow: ['>'] }, extensions: ['*'] },
  'system-agent': { pub: {}, sub: {}, extensions: [] },
  worker: WORKER_SUBJECTS,
}

/** Makes the built-in roles of a new tenant, so that lists and assignments name them like any other. */
export async function installRoles(tx: Tx, tenantId: string): Promise<void> {
  for (const name of BUILT_IN_ROLES) {
    const { pub, sub, extensions } = BUILT_IN_SUBJECTS[name]
    await tx.run(sql`
      insert into roles (tenant_id, name, description, patterns, pub, sub, extensions, built_in)
      values (${tenantId}, ${name}, ${DESCRIPTIONS[name]}, '{}', ${jsonb(pub)}, ${jsonb(sub)}, ${extensions}, true)
      on conflict do nothing`)
  }
}

const DESCRIPTIONS: Record<BuiltInRole, string> = {
  viewer: 'Sees, changes nothing',
  user: 'Sees, and submits jobs',
  developer: 'Builds: components, releases, extensions; deploys outside production',
  operator: 'Runs the fleet: jobs, approvals, targets, agents, workers',
  'release-manager': 'Brings releases into every environment',
  approver: 'Decides promotions and held jobs',
  security: 'Reads the trail; keeps approval policies and evidence',
  admin: 'Everything in the tenant',
  'platform-admin': 'Everything in the tenant, and the installation itself',
  'system-agent': 'Agents: registration and telemetry',
  worker: 'Workers: takes jobs and answers them',
}
