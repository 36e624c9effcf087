import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'

const PASSWORD = 'Correct-horse-7'
let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const create = (body: object, as = world.a.keys.admin) => world.call('POST', '/api/v1/users', { as, body })
const login = (username: string, password: string) =>
  world.call('POST', '/api/v1/auth/login', { as: null, body: { username, password, tenant: world.a.slug } })

describe('creation', () => {
  test('answers 201 with the user, who can log in and begins as a `user`', async () => {
    const made = await create({ username: 'ada', password: PASSWORD, email: 'ada@alpha.test' })
    expect(made).toMatchObject({
      status: 201,
      body: { username: 'ada', email: 'ada@alpha.test', tenant: world.a.slug, roles: ['user'], source: 'user' },
    })
    expect(JSON.stringify(made.body)).not.toMatch(/password|hash|\$argon/)
    expect((await login('ada', PASSWORD)).body.user.id).toBe(made.body.id)
    expect((await create({ username: 'ops', password: PASSWORD, role: 'secops' })).body.roles).toEqual(['operator'])
  })

  test('refuses in the words of the document', async () => {
    const refusals: [object, number, string | RegExp][] = [
      [{ password: PASSWORD }, 400, 'username required'],
      [{ username: ' ', password: PASSWORD }, 400, 'username required'],
      [{ username: 'grace' }, 400, 'password required'],
      [{ username: 'grace', password: 'alllowercase1!' }, 400, /upper-case/],
      [{ username: 'grace', password: 'Nodigitsatall!' }, 400, /digit/],
      [{ username: 'grace', password: 'Nospecials1234' }, 400, /special/],
      [{ username: 'ADA', password: PASSWORD }, 409, 'user already exists'],
      [{ username: 'other', email: 'Ada@Alpha.test', password: PASSWORD }, 409, 'user already exists'],
      [{ username: 'grace', password: PASSWORD, tenant: world.b.slug }, 403, 'tenant access denied'],
      [{ username: 'grace', password: 7 }, 400, 'invalid request body'],
    ]
    for (const [body, status, error] of refusals)
      expect(await create(body), JSON.stringify(body)).toMatchObject({
        status,
        body: { error: typeof error === 'string' ? error : expect.stringMatching(error), status },
      })
    expect(await create({ username: 'grace', password: PASSWORD }, world.a.keys.operator)).toMatchObject({
      status: 403,
      body: { error: 'role operator not permitted' },
    })
  })

  test('nobody gives a role that grants more than they hold', async () => {
    expect((await create({ username: 'root', password: PASSWORD, role: 'platform-admin' })).status).toBe(403)
    expect((await create({ username: 'root', password: PASSWORD, role: 'no-such-role' })).status).toBe(400)
    expect(
      (await create({ username: 'root', password: PASSWORD, role: 'platform-admin' }, world.a.keys['platform-admin']))
        .status,
    ).toBe(201)
  })

  test('whoever may cross tenants makes users elsewhere', async () => {
    const made = await create(
      { username: 'abroad', password: PASSWORD, tenant: world.b.slug },
      world.a.keys['platform-admin'],
    )
    expect(made).toMatchObject({ status: 201, body: { tenant: world.b.slug } })
    const names = async (as: string) =>
      (await world.call('GET', '/api/v1/users', { as })).body.items.map((each: { username: string }) => each.username)
    expect(await names(world.b.keys.admin)).toContain('abroad')
    expect(await names(world.a.keys.admin)).not.toContain('abroad')
  })
})

describe('administration', () => {
  const at = (id: string, method: string, body?: object, as = world.a.keys.admin, tail = '') =>
    world.call(method, `/api/v1/users/${id}${tail}`, { as, ...(body === undefined ? {} : { body }) })

  test('a changed role counts at once, and ends the sessions that had the old one', async () => {
    const { body: made } = await create({ username: 'mary', password: PASSWORD })
    const { token } = (await login('mary', PASSWORD)).body
    const changed = await at(made.id, 'PUT', {
      email: 'mary@alpha.test',
      display_name: 'Mary',
      roles: ['OPERATOR', 'viewer'],
    })
    expect(changed).toMatchObject({
      status: 200,
      body: { id: made.id, email: 'mary@alpha.test', display_name: 'Mary', roles: ['operator'] },
    })
    expect((await world.call('GET', '/api/v1/status', { as: token })).status).toBe(401)
    expect((await login('mary@alpha.test', PASSWORD)).body.user.roles).toEqual(['operator'])
  })

  test('a new password ends all sessions of the user', async () => {
    const { body: made } = await create({ username: 'joan', password: PASSWORD })
    const { token } = (await login('joan', PASSWORD)).body
    expect((await at(made.id, 'POST', { password: 'short' }, undefined, '/password')).status).toBe(400)
    expect((await at(made.id, 'POST', {}, undefined, '/password')).body.error).toBe('password required')
    expect((await at(made.id, 'POST', { password: 'Another-horse-8' }, undefined, '/password')).status).toBe(204)
    expect((await world.call('GET', '/api/v1/status', { as: token })).status).toBe(401)
    expect((await login('joan', PASSWORD)).status).toBe(401)
    expect((await login('joan', 'Another-horse-8')).status).toBe(200)
  })

  test('a removed user is gone, with every session, and the name is free', async () => {
    const { body: made } = await create({ username: 'rear', password: PASSWORD })
    const { token } = (await login('rear', PASSWORD)).body
    expect(await at(made.id, 'DELETE')).toMatchObject({ status: 204, body: null })
    expect((await world.call('GET', '/api/v1/status', { as: token })).status).toBe(401)
    expect((await login('rear', PASSWORD)).status).toBe(401)
    expect(await at(made.id, 'DELETE')).toMatchObject({ status: 404, body: { error: 'user not found' } })
    expect((await create({ username: 'rear', password: PASSWORD })).status).toBe(201)
  })

  test('one’s own account, others’ tenants and mightier users are out of reach', async () => {
    const { body: made } = await create({ username: 'lone', password: PASSWORD })
    expect(await at(world.a.adminId, 'DELETE')).toMatchObject({
      status: 400,
      body: { error: 'cannot delete your own account' },
    })
    for (const method of ['PUT', 'DELETE'])
      expect(await at(made.id, method, {}, world.b.keys.admin)).toMatchObject({
        status: 404,
        body: { error: 'user not found' },
      })
    // The administrator of the first start is a platform administrator; a mere admin must not take that over.
    const { body: root } = await create(
      { username: 'mighty', password: PASSWORD, role: 'platform-admin' },
      world.a.keys['platform-admin'],
    )
    expect((await at(root.id, 'POST', { password: 'Another-horse-8' }, undefined, '/password')).status).toBe(403)
    expect((await at(root.id, 'DELETE')).status).toBe(403)
    expect((await login('mighty', PASSWORD)).status).toBe(200)
  })
})
