import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createUser } from '../../kernel/identity/index.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const ROLES = '/api/v1/admin/roles'
const post = (body: object, as?: string) => world.call('POST', ROLES, { body, ...(as === undefined ? {} : { as }) })
const one = (method: string, name: string, body?: object) => world.call(method, `/api/v1/admin/role/${name}`, { body })
const full = { description: 'd', permissions: { pub: { allow: ['a.>'] }, sub: {} }, extensions: ['ice'] }

describe('roles', () => {
  test('are listed by name with the built-in ones, the administrator’s under its documented name', async () => {
    const { status, body } = await world.call('GET', ROLES)
    expect(status).toBe(200)
    const names: string[] = body.map(({ name }: { name: string }) => name)
    expect(names).toEqual(names.toSorted())
    expect(names).toContain('symphony-admin')
    expect(names).not.toContain('admin')
    expect(body).toContainEqual(
      expect.objectContaining({
        name: 'viewer',
        builtin: true,
        extensions: ['*'],
        permissions: { pub: expect.anything(), sub: { allow: ['cirata.extensions.>'] } },
      }),
    )
  })

  test('are made, read, replaced whole and removed', async () => {
    const made = await post({ name: 'ice-users', ...full, grants: ['job:read'] })
    expect(made).toMatchObject({
      status: 200,
      body: { name: 'ice-users', ...full, builtin: false, grants: ['job:read'] },
    })
    expect(await one('GET', 'ice-users')).toMatchObject({ status: 200, body: made.body })
    const replaced = await one('PUT', 'ice-users', { permissions: { sub: { allow: ['b q'] } }, extensions: [] })
    expect(replaced).toMatchObject({
      status: 200,
      body: {
        name: 'ice-users',
        description: '',
        permissions: { pub: {}, sub: { allow: ['b q'] } },
        extensions: [],
        grants: [],
      },
    })
    expect(await one('DELETE', 'ice-users')).toMatchObject({ status: 200, body: { deleted: 'ice-users' } })
    expect(await one('GET', 'ice-users')).toMatchObject({ status: 404, body: { error: 'Not found' } })
    expect(await one('DELETE', 'ice-users')).toMatchObject({ status: 404 })
  })

  test('refuse bad names, bad subjects, taken names, renames and what is built in', async () => {
    for (const name of ['Upper', '1st', '', 'a'.repeat(64), 'a_b'])
      expect([name, (await post({ name })).status]).toEqual([name, 400])
    expect(await post({ name: 'bad', permissions: { pub: { allow: ['a b'] } } })).toMatchObject({ status: 400 })
    for (const name of ['viewer', 'admin', 'symphony-admin'])
      expect([name, (await post({ name })).status]).toEqual([name, 400])
    expect(await one('PUT', 'viewer', { name: 'other', ...full })).toMatchObject({ status: 400 })
    expect(await one('PUT', 'symphony-admin', full)).toMatchObject({ status: 400 })
    expect(await one('PUT', 'nobody', full)).toMatchObject({ status: 404 })
    expect(await one('DELETE', 'viewer')).toMatchObject({ status: 400 })
    expect(await one('DELETE', 'symphony-admin')).toMatchObject({ status: 400 })
  })

  test('viewer may be edited, and its members feel it', async () => {
    const before = (await one('GET', 'viewer')).body
    const viewer = { as: world.a.keys.viewer }
    const { description, permissions, extensions } = before
    await one('PUT', 'viewer', {
      description,
      extensions,
      permissions: { ...permissions, pub: { allow: ['cirata.extensions.ice.>'] } },
    })
    await expect
      .poll(async () => (await world.call('GET', '/api/v1/roles', viewer)).body.permissions.pub.allow)
      .toEqual(['cirata.extensions.ice.>'])
    await one('PUT', 'viewer', { description, permissions, extensions })
  })

  test('are one tenant’s own', async () => {
    await post({ name: 'alpha-only', ...full })
    expect(await world.call('GET', '/api/v1/admin/role/alpha-only', { as: world.b.keys.admin })).toMatchObject({
      status: 404,
    })
  })

  test('leave a trail with what was and what is', async () => {
    await post({ name: 'trailed', ...full })
    await one('PUT', 'trailed', { ...full, description: 'new' })
    await world.kernel.events.settled(world.a.id)
    const rows = await world.kernel.db.tenant(world.a.id, async (tx) => {
      const { sql } = await import('../../kernel/db/index.ts')
      return tx.many<{ verb: string; body: object }>(
        sql`select verb, body from audit where resource_id = 'trailed' order by seq`,
      )
    })
    expect(rows.map(({ verb }) => verb)).toEqual(['role.create', 'role.update'])
    expect(rows[1]?.body).toMatchObject({ before: { description: 'd' }, after: { description: 'new' } })
  })

  test('nobody gives more than they hold', async () => {
    expect(await post({ name: 'cross', grants: ['tenant:cross'] })).toMatchObject({ status: 403 })
    expect(
      await world.call('POST', '/api/v1/admin/assignments', { body: { group: 'g', roles: ['platform-admin'] } }),
    ).toMatchObject({ status: 403 })
  })
})

describe('assignments', () => {
  const POST = (body: object) => world.call('POST', '/api/v1/admin/assignments', { body })

  test('replace what the group had, in either form, and keep their role', async () => {
    await post({ name: 'kept', ...full })
    expect(await POST({ group: '/team/data lake', roles: ['viewer', 'kept', 'symphony-admin'] })).toMatchObject({
      status: 200,
      body: { group: '/team/data lake', roles: ['kept', 'symphony-admin', 'viewer'] },
    })
    expect(await one('DELETE', 'kept')).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('/team/data lake') },
    })
    expect(await POST({ group: '/team/data lake', role: 'viewer' })).toMatchObject({ body: { roles: ['viewer'] } })
    expect(await one('DELETE', 'kept')).toMatchObject({ status: 200 })
    expect((await world.call('GET', '/api/v1/admin/assignments')).body).toContainEqual(
      expect.objectContaining({ group: '/team/data lake', roles: ['viewer'] }),
    )
    const path = `/api/v1/admin/assignment/${encodeURIComponent('/team/data lake')}`
    expect(await world.call('DELETE', path)).toMatchObject({ status: 200, body: { deleted: '/team/data lake' } })
    expect(await world.call('DELETE', path)).toMatchObject({ status: 404 })
  })

  test.each([
    { group: '', roles: ['viewer'] },
    { group: 'g', roles: [] },
    { group: 'g' },
    { group: 'g', roles: ['none'] },
  ])('refuse %j', async (body) => {
    expect(await POST(body)).toMatchObject({ status: 400 })
  })
})

test('a user is found by subject or address once seen, and not before', async () => {
  const { kernel, a } = world
  await kernel.db.auth((tx) =>
    createUser(tx, kernel.clock.now(), { tenantId: a.id, username: 'unseen', email: 'unseen@alpha.test' }),
  )
  expect(await world.call('GET', '/api/v1/admin/user/unseen%40alpha.test/roles')).toMatchObject({ status: 404 })
  const seen = await world.call('GET', '/api/v1/admin/user/admin%40alpha.test/roles')
  expect(seen).toMatchObject({
    status: 200,
    body: { subject: 'admin@alpha.test', admin: true, extensions: '*', permissions: { pub: { allow: ['>'] } } },
  })
  expect(seen.body.roles).toContain('symphony-admin')
})

test('all of /admin is for administrators', async () => {
  for (const role of ['viewer', 'developer', 'operator', 'security'] as const)
    expect(await world.call('GET', ROLES, { as: world.a.keys[role] })).toMatchObject({
      status: 403,
      body: { error: 'Forbidden' },
    })
})
