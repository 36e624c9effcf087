import type { Principal } from '../apps/server/src/kernel/identity/index.ts'
import { bindRole, createKey, createUser, revokeKey } from '../apps/server/src/kernel/identity/index.ts'
import type { World } from '../apps/server/src/testing/world.ts'

/** A person of tenant a with two keys, either of which speaks for them. */
export interface Person {
  id: string
  keys: readonly [string, string]
  principal: Principal
}

/** Who asks, who may decide, and who must not. */
export interface People {
  /** Asks for everything. */
  alice: Person
  bob: Person
  carol: Person
  /** The only one with the role that some rules name. */
  security: Person
  /** Sees, and may decide nothing. */
  viewer: Person
  /** Credentials that nobody may act with any more: of a frozen person, a frozen key, revoked, expired, and none at all. */
  ended: readonly (string | null)[]
}

export async function makePeople(world: World): Promise<People> {
  const { kernel, a } = world
  const now = kernel.clock.now()
  const key = (ownerId: string, name: string, more: { expiresAt?: number } = {}) =>
    kernel.db.auth((tx) => createKey(tx, now, { tenantId: a.id, ownerId, name, admin: true, ...more }))

  async function person(name: string, roles: readonly string[]): Promise<Person> {
    const [first = '', ...others] = roles
    const id = await kernel.db.auth(async (tx) => {
      const user = await createUser(tx, now, {
        tenantId: a.id,
        username: name,
        password: 'Test-password-1',
        role: first,
      })
      for (const role of others) await bindRole(tx, a.id, user.id, role)
      return user.id
    })
    const keys = [(await key(id, `${name} 1`)).token, (await key(id, `${name} 2`)).token] as const
    return { id, keys, principal: await world.principal(keys[0]) }
  }

  const frozen = await person('dave', ['admin'])
  await kernel.identity.freezePrincipal(a.id, frozen.id)
  const bob = await person('bob', ['admin'])
  const [frozenKey, revoked] = [await key(bob.id, 'frozen'), await key(bob.id, 'revoked')]
  await kernel.identity.freezePrincipal(a.id, frozenKey.key.id)
  await kernel.db.tenant(a.id, (tx) => revokeKey(tx, now, revoked.key.id))
  const expired = await key(bob.id, 'expired', { expiresAt: now - 1000 })
  return {
    alice: await person('alice', ['admin']),
    bob,
    carol: await person('carol', ['admin']),
    security: await person('sec', ['security', 'approver']),
    viewer: await person('viewer', ['viewer']),
    ended: [...frozen.keys, frozenKey.token, revoked.token, expired.token, null, 'wh_not_a_key', `${bob.keys[0]}x`],
  }
}
