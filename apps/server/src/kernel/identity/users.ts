import { Fault, storedRole } from '@wheelhouse/contract'
import { ids, type Instant } from '../clock/index.ts'
import { at, isUniqueViolation, sql, type Tx } from '../db/index.ts'
import { hashPassword, requireStrongPassword } from './passwords.ts'
import { closeSessionsOf } from './sessions.ts'

/** Where a user comes from: made here, or first seen through a provider of that protocol. */
export type UserSource = 'local' | 'oidc' | 'saml'

export interface User {
  id: string
  username: string
  email: string | null
  displayName: string | null
  disabled: boolean
  source: UserSource
  createdAt: Instant
  updatedAt: Instant
  lastLoginAt: Instant | null
  roles: string[]
}

export interface NewUser {
  tenantId: string
  username: string
  email?: string
  displayName?: string
  password?: string
  source?: UserSource
  /** What tokens call the user; default: e-mail or name. */
  subject?: string
  role?: string
}

const columns = sql`u.id, u.username, u.email, u.display_name as "displayName", u.disabled, u.source, u.created_at as "createdAt",
  u.updated_at as "updatedAt", u.last_login_at as "lastLoginAt",
  coalesce((select array_agg(b.role order by b.role) from role_bindings b where b.tenant_id = u.tenant_id and b.principal_id = u.id), '{}') as roles`

/** Names are compared without regard to case or surrounding blanks. */
export const normalised = (name: string): string => name.trim().toLowerCase()

/** Makes a user with its principal and role. The name or e-mail being taken is a 409. */
export async function createUser(tx: Tx, now: Instant, input: NewUser): Promise<User> {
  if (input.password !== undefined) requireStrongPassword(input.password)
  const id = ids.next()
  const hash = input.password === undefined ? null : await hashPassword(input.password)
  try {
    await tx.run(sql`
      insert into principals (tenant_id, id, kind, subject, name, created_at)
      values (${input.tenantId}, ${id}, 'user', ${input.subject ?? input.email ?? input.username}, ${input.displayName ?? input.username}, ${at(now)})`)
    await tx.run(sql`
      insert into users (tenant_id, id, username, username_norm, email, email_norm, display_name, password_hash, source, created_at, updated_at)
      values (${input.tenantId}, ${id}, ${input.username}, ${normalised(input.username)}, ${input.email ?? null},
              ${input.email === undefined ? null : normalised(input.email)}, ${input.displayName ?? null}, ${hash}, ${input.source ?? 'local'}, ${at(now)}, ${at(now)})`)
  } catch (error) {
    if (isUniqueViolation(error))
      throw new Fault('RES_DUPLICATE_NAME', { kind: 'user' }, { message: 'user already exists', cause: error })
    throw error
  }
  if (input.role !== undefined) await bindRole(tx, input.tenantId, id, input.role)
  const user = await findUser(tx, id)
  if (!user) throw new Error('A user that was just made is not there')
  return user
}

/** Gives a principal a role by its stored or documented name; an unknown role is refused. */
export async function bindRole(tx: Tx, tenantId: string, principalId: string, role: string): Promise<void> {
  const name = storedRole(role)
  const known = await tx.maybe(sql`select 1 from roles where tenant_id = ${tenantId} and name = ${name}`)
  if (!known) throw new Fault('VAL_SCHEMA', { field: 'role' }, { message: `There is no role "${role}"` })
  await tx.run(sql`
    insert into role_bindings (tenant_id, id, role, principal_id) values (${tenantId}, ${ids.next()}, ${name}, ${principalId})
    on conflict do nothing`)
}

export const findUser = (tx: Tx, id: string): Promise<User | undefined> =>
  tx.maybe<User>(sql`select ${columns} from users u where u.id::text = ${id} and u.deleted_at is null`)

/** All users that are not deleted, by name; at most 1,000. */
export const listUsers = (tx: Tx): Promise<User[]> =>
  tx.many<User>(sql`select ${columns} from users u where u.deleted_at is null order by u.username_norm limit 1000`)

/** What of a user may be changed; absent members stay, an empty e-mail is taken away. */
export interface UserChange {
  email?: string
  displayName?: string
  disabled?: boolean
  passwordHash?: string
  /** In place of all roles that the user has by itself; those of its groups stay. */
  role?: string
}

/** Changes a user that is not deleted; undefined when there is none. A taken e-mail is a 409. Ends no session: the caller does. */
export async function changeUser(tx: Tx, now: Instant, id: string, change: UserChange): Promise<User | undefined> {
  const { email, displayName, disabled, passwordHash, role } = change
  const set = [
    email === undefined ? undefined : sql`email = ${email === '' ? null : email}`,
    email === undefined ? undefined : sql`email_norm = ${email === '' ? null : normalised(email)}`,
    displayName === undefined ? undefined : sql`display_name = ${displayName}`,
    disabled === undefined ? undefined : sql`disabled = ${disabled}`,
    passwordHash === undefined ? undefined : sql`password_hash = ${passwordHash}`,
    sql`updated_at = ${at(now)}`,
  ].filter((each) => each !== undefined)
  const found = await tx
    .run(sql`update users set ${sql.join(set)} where id::text = ${id} and deleted_at is null`)
    .catch((error: unknown) => {
      if (isUniqueViolation(error))
        throw new Fault('RES_DUPLICATE_NAME', { kind: 'user' }, { message: 'user already exists', cause: error })
      throw error
    })
  if (found === 0) return undefined
  if (displayName !== undefined && displayName !== '')
    await tx.run(sql`update principals set name = ${displayName} where id::text = ${id}`)
  // Who is disabled has nothing done for them either: their queue stands still.
  if (disabled !== undefined)
    await tx.run(sql`update principals set state = ${disabled ? 'frozen' : 'active'} where id::text = ${id}`)
  if (role !== undefined) {
    await tx.run(sql`delete from role_bindings where principal_id::text = ${id}`)
    await bindRole(tx, tx.tenantId, id, role)
  }
  return findUser(tx, id)
}

/** Removes a user; its row and those of its keys stay for history. False when there was none. Call `identity.cutOff` after the commit. */
export async function removeUser(tx: Tx, now: Instant, id: string): Promise<boolean> {
  const found = await tx.run(
    sql`update users set deleted_at = ${at(now)}, updated_at = ${at(now)} where id::text = ${id} and deleted_at is null`,
  )
  if (found === 0) return false
  await tx.run(sql`update principals set deleted_at = ${at(now)}, state = 'frozen' where id::text = ${id}`)
  await closeSessionsOf(tx, tx.tenantId, id)
  return true
}
