import { Fault } from '@wheelhouse/contract'
import { sql, type Tx } from '../../kernel/db/index.ts'
import {
  closeSessionsOf,
  findTenant,
  findUser,
  groupsOf,
  holds,
  can,
  patternsOf,
  type Principal,
  type Tenant,
  type User,
  userRoles,
} from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

export const userNotFound = (): Fault => new Fault('RES_NOT_FOUND', { kind: 'user' }, { message: 'user not found' })

export const refused = (message: string): Fault => new Fault('VAL_SCHEMA', {}, { message })

/** The tenant that a body names: the caller's own, or another one where the caller may cross (jobs.md §3, fix). */
export async function tenantNamed(
  db: Kernel['db'],
  principal: Principal,
  name: string | undefined,
): Promise<Pick<Tenant, 'id' | 'slug'>> {
  const { tenantId: id, tenantSlug: slug } = principal
  if (name === undefined || name === '' || name === id || name === slug) return { id, slug }
  const other = can(principal, 'tenant:cross') ? await db.auth((tx) => findTenant(tx, name)) : undefined
  if (!other) throw new Fault('PERM_TENANT')
  return other
}

/** Nobody gives a role that grants more than they hold themselves (decisions D3). */
export async function requireGrantable(tx: Tx, principal: Principal, roles: readonly string[]): Promise<void> {
  if (holds(principal, await patternsOf(tx, tx.tenantId, roles))) return
  throw new Fault('PERM_DENIED', { grants: roles }, { message: 'the role grants more than you hold' })
}

/** A user whom the caller may change: one who may not more than the caller. Otherwise 404 or 403. */
export async function manageable({ identity }: Kernel, tx: Tx, principal: Principal, id: string): Promise<User> {
  const user = await findUser(tx, id)
  if (!user) throw userNotFound()
  const roles = await userRoles(tx, identity.rules, tx.tenantId, user.id, await groupsOf(tx, tx.tenantId, user.id))
  if (!holds(principal, await patternsOf(tx, tx.tenantId, roles)))
    throw new Fault('PERM_DENIED', {}, { message: 'the user may do more than you' })
  return user
}

/** Ends the sessions of a user and what they hold on NATS; with `keys: 'too'` also what the user's API keys hold there. */
export async function endSessions(
  { identity, log }: Kernel,
  tx: Tx,
  userId: string,
  keys: 'stay' | 'too',
): Promise<void> {
  const held = await tx.many<{ id: string }>(sql`
    select id from api_keys where owner_id::text = ${userId} and (session_id is not null or ${keys === 'too'}) and nats_minted_at is not null`)
  await closeSessionsOf(tx, tx.tenantId, userId)
  tx.afterCommit(() => {
    identity.changed()
    if (held.length === 0) return
    identity
      .cutOff(
        tx.tenantId,
        held.map(({ id }) => id),
      )
      // The sweep of identity does it within seconds.
      .catch((error: unknown) => log.warn({ err: error }, 'Credentials of a user are cut off later'))
  })
}
