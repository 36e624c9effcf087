import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'
import { sql } from '../db/index.ts'
import { actingFor, declaredFor } from './delegation.ts'
import { createKey, updateKey } from './keys.ts'
import { can, type Principal, systemPrincipal } from './principal.ts'
import { bindRole, createUser } from './users.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

let n = 0

/** A user with a role and a key of theirs. */
async function somebody(role: string, admin = false): Promise<{ userId: string; keyId: string; stored: Principal }> {
  const { db, clock } = world.kernel
  const { userId, key, token } = await db.auth(async (tx) => {
    const { id } = await createUser(tx, clock.now(), { tenantId: world.a.id, username: `user-${++n}`, role })
    const made = await createKey(tx, clock.now(), { tenantId: world.a.id, ownerId: id, name: 'k', admin })
    return { userId: id, ...made }
  })
  return { userId, keyId: key.id, stored: await world.principal(token) }
}

async function takeRole(userId: string, role?: string): Promise<void> {
  const { db, identity } = world.kernel
  await db.tenant(world.a.id, async (tx) => {
    await tx.run(sql`delete from role_bindings where principal_id = ${userId}`)
    if (role !== undefined) await bindRole(tx, world.a.id, userId, role)
  })
  identity.changed()
}

const today = async (stored: Principal): Promise<Principal> => (await world.kernel.identity.today(stored)).principal

test('who lost nothing is the very same principal, so that nothing new is stored of them', async () => {
  const { stored, userId } = await somebody('operator')
  expect(await today(stored)).toBe(stored)
  const service = systemPrincipal({ id: world.a.id, slug: '' })
  expect(await today(service)).toBe(service)
  await takeRole(userId, 'admin')
  expect(await today(stored)).toBe(stored)
})

test('without its role somebody has what everybody has, and a key that is no administrator’s any more is none', async () => {
  const { stored, userId, keyId } = await somebody('admin', true)
  expect([can(stored, 'role:admin'), can(stored, 'job:submit')]).toEqual([true, true])
  const { db, clock, identity } = world.kernel
  await db.tenant(world.a.id, (tx) => updateKey(tx, clock.now(), keyId, { admin: false }, true))
  identity.changed()
  const narrowed = await today(stored)
  expect([can(narrowed, 'role:admin'), can(narrowed, 'job:submit')]).toEqual([false, true])
  await takeRole(userId)
  const left = await today(stored)
  expect([can(left, 'job:submit'), can(left, 'job:read')]).toEqual([false, true])
})

test('what is lost by whom one acts for is lost too', async () => {
  const { db, identity } = world.kernel
  const other = await somebody('operator')
  const stored = await declaredFor(db, identity.rules, await world.principal(world.a.keys.admin), other.userId)
  expect(await today(stored)).toBe(stored)
  await takeRole(other.userId, 'viewer')
  expect(can(await today(stored), 'job:submit')).toBe(false)
  const forKey = actingFor(stored, other.stored)
  expect(can(await today(forKey), 'job:read')).toBe(true)
})

test('who crossed into a tenant acts there as long as they may cross', async () => {
  const { stored, userId } = await somebody('platform-admin', true)
  const crossed = { ...stored, tenantId: world.b.id, tenantSlug: world.b.slug }
  expect(await today(crossed)).toBe(crossed)
  await takeRole(userId, 'admin')
  expect(can(await today(crossed), 'job:read')).toBe(false)
  expect(can(await today(stored), 'job:read')).toBe(true)
})
