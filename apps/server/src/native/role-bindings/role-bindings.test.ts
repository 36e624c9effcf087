import { afterAll, beforeAll, expect, test } from 'vitest'
import { createUser } from '../../kernel/identity/index.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const PATH = '/wheelhouse/api/v1/role-bindings'

test('gives, lists and takes roles of users and groups', async () => {
  const { kernel, a } = world
  const user = await kernel.db.auth((tx) => createUser(tx, kernel.clock.now(), { tenantId: a.id, username: 'zoe' }))
  const made = await world.call('POST', PATH, { body: { role: 'operator', principalId: user.id } })
  expect(made).toMatchObject({
    status: 201,
    body: { role: 'operator', group: null, principal: { name: 'zoe', kind: 'user' } },
  })
  expect(await world.call('POST', PATH, { body: { role: 'operator', principalId: user.id } })).toMatchObject({
    status: 409,
  })
  expect(await world.call('POST', PATH, { body: { role: 'viewer', group: 'team' } })).toMatchObject({
    status: 201,
    body: { group: 'team', principal: null },
  })
  const filter = encodeURIComponent(JSON.stringify({ principalId: user.id }))
  expect((await world.call('GET', `${PATH}?filter=${filter}`)).body).toMatchObject({ total: 1, items: [made.body] })
  expect(await world.call('DELETE', `${PATH}/${made.body.id}`)).toMatchObject({ status: 204 })
  expect(await world.call('DELETE', `${PATH}/${made.body.id}`)).toMatchObject({ status: 404 })
})

test('refuses what names nobody, both, or more than the giver holds', async () => {
  for (const body of [
    { role: 'viewer' },
    { role: 'viewer', group: 'g', principalId: world.a.adminId },
    { role: 'none', group: 'g' },
  ])
    expect([body, (await world.call('POST', PATH, { body })).status]).toEqual([body, 400])
  expect(await world.call('POST', PATH, { body: { role: 'viewer', principalId: world.b.adminId } })).toMatchObject({
    status: 404,
  })
  expect(await world.call('POST', PATH, { body: { role: 'platform-admin', group: 'g' } })).toMatchObject({
    status: 403,
  })
  expect(
    await world.call('POST', PATH, {
      body: { role: 'platform-admin', group: 'g' },
      as: world.a.keys['platform-admin'],
    }),
  ).toMatchObject({ status: 201 })
})

test('leaves the last administrator in place', async () => {
  const { body } = await world.call('GET', `${PATH}?pageSize=200`)
  const own = body.items.filter(
    ({ role, principal }: { role: string; principal: { id: string } | null }) =>
      principal?.id === world.a.adminId && (role === 'admin' || role === 'platform-admin'),
  )
  expect(own).toHaveLength(2)
  expect(await world.call('DELETE', `${PATH}/${own[0].id}`, { as: world.a.keys['platform-admin'] })).toMatchObject({
    status: 204,
  })
  expect(await world.call('DELETE', `${PATH}/${own[1].id}`, { as: world.a.keys['platform-admin'] })).toMatchObject({
    status: 409,
    body: { code: 'ROLE_LAST_ADMIN' },
  })
})
