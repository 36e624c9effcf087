import { Fault } from '@wheelhouse/contract'
import type { Instant } from '../../kernel/clock/index.ts'
import { subjectProblem, subscriptionProblem } from '../../kernel/bus/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import {
  groupSpellings,
  holds,
  patternsOf,
  type Principal,
  type SubjectPermissions,
} from '../../kernel/identity/index.ts'
import { edgeName, storedName } from '../edge-names.ts'
import {
  type AssignmentRow,
  assignmentOf,
  bindGroup,
  clearGroup,
  deleteRole,
  holdersOf,
  insertRole,
  roleNamed,
  type RoleRow,
  updateRole,
} from './tables.ts'

export interface RoleBody {
  description?: string
  permissions?: { pub?: SubjectPermissions; sub?: SubjectPermissions }
  extensions?: string[]
  grants?: string[]
}

/** What nobody edits: they stand for everything. */
const IMMUTABLE: ReadonlySet<string> = new Set(['admin', 'platform-admin'])

const bad = (message: string, details: Record<string, unknown> = {}): never => {
  throw new Fault('VAL_SCHEMA', { in: 'body', ...details }, { message })
}

/** A role by the name of this surface; 404 when there is none. */
export async function findRole(tx: Tx, name: string): Promise<RoleRow> {
  const stored = storedName(name)
  const role = stored === undefined ? undefined : await roleNamed(tx, stored)
  if (!role) throw new Fault('RES_NOT_FOUND', { kind: 'role', name })
  return role
}

/** Makes a role. Its grants may not go beyond what its maker holds. */
export async function makeRole(
  tx: Tx,
  principal: Principal,
  now: Instant,
  body: RoleBody & { name: string },
): Promise<RoleRow> {
  const stored = storedName(body.name)
  const role = stored === undefined ? undefined : await insertRole(tx, now, roleOf(stored, principal, body))
  if (!role) return bad(`name: the role ${body.name} exists already`)
  return role
}

/** Replaces a role. Of built-in ones only the subjects and the visible extensions change; `symphony-admin` not at all. */
export async function replaceRole(
  tx: Tx,
  principal: Principal,
  now: Instant,
  name: string,
  body: RoleBody & { name?: string },
): Promise<{ before: RoleRow; after: RoleRow }> {
  const before = await findRole(tx, name)
  if (IMMUTABLE.has(before.name)) bad(`The role ${name} cannot be changed`)
  if (body.name !== undefined && body.name !== name) bad('name: a role keeps its name')
  const after = roleOf(before.name, principal, body)
  if (!before.builtIn) return { before, after: await updateRole(tx, now, after) }
  const fixed = new Set(await patternsOf(tx, tx.tenantId, [before.name]))
  if (body.grants && (body.grants.length !== fixed.size || body.grants.some((grant) => !fixed.has(grant))))
    bad('grants: those of a built-in role are fixed')
  return { before, after: await updateRole(tx, now, { ...after, patterns: before.patterns }) }
}

function roleOf(name: string, principal: Principal, body: RoleBody): Omit<RoleRow, 'builtIn'> {
  const { pub = {}, sub = {} } = body.permissions ?? {}
  requireSubjects('pub', pub, subjectProblem)
  requireSubjects('sub', sub, subscriptionProblem)
  const patterns = [...new Set(body.grants)]
  if (!holds(principal, patterns)) throw new Fault('PERM_DENIED', { grants: 'beyond your own' })
  return {
    name,
    description: body.description ?? '',
    patterns,
    pub,
    sub,
    extensions: [...new Set(body.extensions)],
  }
}

function requireSubjects(
  side: string,
  { allow = [], deny = [] }: SubjectPermissions,
  check: typeof subjectProblem,
): void {
  for (const entry of [...allow, ...deny]) {
    const problem = check(entry)
    if (problem !== undefined) bad(`permissions.${side} ${JSON.stringify(entry)}: ${problem}`)
  }
}

/** Removes a role that no group, user or key refers to. */
export async function removeRole(tx: Tx, name: string): Promise<RoleRow> {
  const role = await findRole(tx, name)
  if (role.builtIn) bad(`The role ${name} is built in`)
  const { groups, principals, keys } = await holdersOf(tx, role.name)
  const holders = [
    ...(groups.length > 0 ? [`the groups ${groups.slice(0, 20).join(', ')}`] : []),
    ...(principals > 0 ? [`${principals} users`] : []),
    ...(keys > 0 ? [`${keys} keys`] : []),
  ]
  if (holders.length > 0) bad(`The role ${name} is held by ${holders.join(' and ')}`, { groups })
  await deleteRole(tx, role.name)
  return role
}

/** Gives a group its roles in place of those it had. Nobody gives a role that grants more than they hold. */
export async function assignRoles(
  tx: Tx,
  principal: Principal,
  now: Instant,
  body: { group: string; roles?: string[]; role?: string; description?: string },
): Promise<{ before: AssignmentRow | undefined; after: AssignmentRow }> {
  const asked = body.roles ?? (body.role === undefined ? [] : [body.role])
  if (asked.length === 0) bad('roles: at least one role is required')
  const stored: string[] = []
  for (const name of new Set(asked)) {
    const own = storedName(name)
    const role = own === undefined ? undefined : await roleNamed(tx, own)
    if (!role) return bad(`roles: there is no role ${name}`)
    stored.push(role.name)
  }
  if (!holds(principal, await patternsOf(tx, tx.tenantId, stored))) throw new Fault('PERM_DENIED', { roles: asked })
  const before = await assignmentOf(tx, body.group)
  await clearGroup(tx, groupSpellings([body.group]))
  await bindGroup(tx, now, body.group, stored, body.description)
  const after = await assignmentOf(tx, body.group)
  if (!after) throw new Error('An assignment that was just made is not there')
  return { before, after }
}

/** Takes all roles from a group; 404 when it had none. */
export async function unassignGroup(tx: Tx, group: string): Promise<AssignmentRow | undefined> {
  const before = await assignmentOf(tx, group)
  if ((await clearGroup(tx, groupSpellings([group]))) === 0)
    throw new Fault('RES_NOT_FOUND', { kind: 'assignment', group })
  return before
}

/** A role as the surface shows it. */
export async function shownRole(tx: Tx, role: RoleRow) {
  return {
    name: edgeName(role.name),
    description: role.description,
    permissions: { pub: role.pub, sub: role.sub },
    extensions: role.extensions,
    builtin: role.builtIn,
    grants: await patternsOf(tx, tx.tenantId, [role.name]),
  }
}
