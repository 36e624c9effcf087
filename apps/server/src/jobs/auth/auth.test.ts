import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { changeUser, createKey, createUser, revokeKey } from '../../kernel/identity/index.ts'
import { sql } from '../../kernel/db/index.ts'
import { type CallOptions, openWorld, type World } from '../../testing/world.ts'

const PASSWORD = 'Correct-horse-7'
let world: World
beforeAll(async () => {
  world = await openWorld({ movableClock: true })
})
afterAll(() => world.close())

let made = 0
async function user(role = 'user'): Promise<{ id: string; username: string; email: string }> {
  const username = `user-${++made}`
  const email = `${username}@alpha.test`
  const { id } = await world.kernel.db.tenant(world.a.id, (tx) =>
    createUser(tx, world.kernel.clock.now(), { tenantId: world.a.id, username, email, password: PASSWORD, role }),
  )
  return { id, username, email }
}

const login = (body: object | string, options: CallOptions = {}) =>
  world.call('POST', '/api/v1/auth/login', { as: null, body, ...options })
const inA = (body: object) => login({ tenant: world.a.slug, ...body })
const sessionOf = (token: string | null, headers: Record<string, string> = {}) =>
  world.call('GET', '/api/v1/auth/session', { as: token, headers })

describe('config', () => {
  test('says how users log in, to anyone', async () => {
    const { status, body } = await world.call('GET', '/api/v1/auth/config', { as: null })
    expect(status).toBe(200)
    expect(body).toEqual({
      password_enabled: true,
      user_auth_enabled: true,
      saml_enabled: false,
      saml_enterprise: false,
      session_ttl: '24h',
      require_rbac: true,
      require_principal: false,
      default_tenant: 'default',
      oidc_enabled: false,
    })
  })
})

describe('login with a password', () => {
  test('answers a session by user name or by e-mail, whatever the case of either', async () => {
    const { id, username, email } = await user()
    const byName = await inA({ username: username.toUpperCase(), password: PASSWORD })
    expect(byName).toMatchObject({
      status: 200,
      body: {
        token: expect.stringMatching(/^session-[A-Za-z0-9_-]{43}$/),
        user: { id, username, email, tenant: world.a.slug, roles: ['user'], source: 'user' },
      },
    })
    const lifeMs = Date.parse(byName.body.expires_at) - world.kernel.clock.now()
    expect(lifeMs).toBe(24 * 3_600_000)
    expect(byName.headers.get('set-cookie')).toBe(
      `cordum_session=${byName.body.token}; HttpOnly; SameSite=Lax; Path=/; Max-Age=86400`,
    )
    const byMail = await inA({ username: email, password: PASSWORD })
    expect(byMail.body.user.id).toBe(id)
    expect(byMail.body.token).not.toBe(byName.body.token)
  })

  test('finds the tenant in the header as in the body', async () => {
    const { username } = await user()
    expect(await login({ username, password: PASSWORD }, { headers: { 'X-Tenant-ID': world.a.slug } })).toMatchObject({
      status: 200,
      body: { user: { tenant: world.a.slug } },
    })
    expect((await login({ username, password: PASSWORD, tenant: world.b.slug })).status).toBe(401)
  })

  test('the token counts as bearer, as X-API-Key and as cookie', async () => {
    const { id, username } = await user()
    const { token } = (await inA({ username, password: PASSWORD })).body
    const ways: Record<string, string>[] = [
      { authorization: `Bearer ${token}` },
      { 'X-API-Key': `"${token}"` },
      { cookie: `cordum_session=${token}` },
    ]
    for (const headers of ways) {
      const shown = await sessionOf(null, headers)
      expect(shown).toMatchObject({ status: 200, body: { user: { id, roles: ['user'] } } })
      expect(shown.body.token).toBe(`session-********${token.slice(-4)}`)
    }
    expect((await world.call('GET', '/api/v1/status', { as: token })).status).toBe(200)
  })

  test('refuses in the words of the document', async () => {
    const { username } = await user()
    const refusals: [object | string, number, string][] = [
      ['{', 400, 'invalid request body'],
      [{ username, password: 7 }, 400, 'invalid request body'],
      [{ username }, 401, 'password required'],
      [{ username, password: '' }, 401, 'password required'],
      [{ username, password: 'Wrong-horse-77', tenant: world.a.slug }, 401, 'invalid credentials'],
      [{ username: 'nobody', password: PASSWORD, tenant: world.a.slug }, 401, 'invalid credentials'],
      [{ password: PASSWORD, tenant: world.a.slug }, 401, 'invalid credentials'],
    ]
    for (const [body, status, error] of refusals)
      expect(await login(body), JSON.stringify(body)).toMatchObject({ status, body: { error, status } })
    const { id, username: disabled } = await user()
    await world.kernel.db.tenant(world.a.id, (tx) => changeUser(tx, world.kernel.clock.now(), id, { disabled: true }))
    expect(await inA({ username: disabled, password: PASSWORD })).toMatchObject({
      status: 403,
      body: { error: 'user is disabled' },
    })
  })

  test('locks a name after five failures, whether or not it exists, until the window is over', async () => {
    const { username } = await user()
    for (const name of [username, 'not-there']) {
      for (let i = 0; i < 5; i++) expect((await inA({ username: name, password: 'Wrong-horse-77' })).status).toBe(401)
      const locked = await inA({ username: name, password: PASSWORD })
      expect(locked).toMatchObject({ status: 429, body: { error: 'rate limit exceeded' } })
      expect(Number(locked.headers.get('retry-after'))).toBeGreaterThan(800)
    }
    world.clock?.advance(15 * 60_000 + 1)
    expect((await inA({ username, password: PASSWORD })).status).toBe(200)
  })

  test('both outcomes reach the trail of the tenant', async () => {
    const { username } = await user()
    await inA({ username, password: 'Wrong-horse-77' })
    const opened = await inA({ username, password: PASSWORD })
    const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.many<{ outcome: string; name: string }>(sql`
        select body ->> 'outcome' as outcome, body -> 'actor' ->> 'name' as name from outbox
         where kind = 'audit' and body ->> 'verb' = 'session.create' and body -> 'actor' ->> 'name' = ${username}
        union all
        select body ->> 'outcome', body -> 'actor' ->> 'name' from audit
         where body ->> 'verb' = 'session.create' and body -> 'actor' ->> 'name' = ${username}`),
    )
    expect(rows.map(({ outcome }) => outcome).sort()).toEqual(['denied', 'ok'])
    expect(JSON.stringify(rows)).not.toContain(opened.body.token)
  })
})

describe('login with an API key', () => {
  const newKey = (role: string) =>
    world.kernel.db.tenant(world.a.id, (tx) =>
      createKey(tx, world.kernel.clock.now(), {
        tenantId: world.a.id,
        ownerId: world.a.adminId,
        name: `login ${role}`,
        roles: [role],
      }),
    )

  test('answers a session that has the rights of the key, not those of its owner', async () => {
    const { token: key, key: row } = await newKey('viewer')
    const opened = await login({ username: 'whoever', password: key })
    expect(opened).toMatchObject({
      status: 200,
      body: { token: expect.stringMatching(/^session-/), user: { id: row.id, roles: ['viewer'], source: 'api_key' } },
    })
    const { token } = opened.body
    expect((await world.call('GET', '/api/v1/status', { as: null, headers: { 'X-API-Key': token } })).status).toBe(200)
    expect(await world.call('GET', '/api/v1/users', { as: token })).toMatchObject({
      status: 403,
      body: { error: 'role viewer not permitted' },
    })
    expect((await sessionOf(key)).body).toMatchObject({
      token: `${key.slice(0, 8)}********${key.slice(-4)}`,
      user: { id: row.id, roles: ['viewer'] },
    })
  })

  test('ends with the key', async () => {
    const { token: key, key: row } = await newKey('operator')
    const { token } = (await login({ password: key })).body
    expect((await sessionOf(token)).status).toBe(200)
    await world.kernel.db.tenant(world.a.id, (tx) => revokeKey(tx, world.kernel.clock.now(), row.id))
    world.kernel.authenticator.forget()
    expect((await sessionOf(token)).status).toBe(401)
    expect((await login({ password: key })).status).toBe(401)
  })

  test('a session is no key: it cannot renew itself, nor can a key be used for another tenant', async () => {
    const { token: key } = await newKey('viewer')
    const { token } = (await login({ password: key })).body
    expect((await login({ password: token })).status).toBe(401)
    expect((await login({ password: key, tenant: world.b.slug })).status).toBe(401)
  })
})

describe('session and logout', () => {
  test('a caller without a credential is told so by session and password alone', async () => {
    for (const [method, path] of [
      ['GET', '/api/v1/auth/session'],
      ['POST', '/api/v1/auth/password'],
    ] as const)
      expect(await world.call(method, path, { as: null })).toMatchObject({
        status: 401,
        body: { error: 'unauthorized', status: 401 },
      })
    expect((await world.call('POST', '/api/v1/auth/logout', { as: null })).status).toBe(204)
    expect((await sessionOf('session-nothing')).status).toBe(401)
  })

  test('logout ends the session and clears its cookie, and does nothing to a key', async () => {
    const { username } = await user()
    const { token } = (await inA({ username, password: PASSWORD })).body
    const out = await world.call('POST', '/api/v1/auth/logout', { as: null, headers: { 'X-API-Key': token } })
    expect(out).toMatchObject({ status: 204, body: null })
    expect(out.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^cordum_session=; .*Max-Age=0/),
      expect.stringMatching(/^wheelhouse_session=; .*Max-Age=0/),
    ])
    expect((await sessionOf(token)).status).toBe(401)
    expect((await world.call('POST', '/api/v1/auth/logout', { as: world.a.keys.viewer })).status).toBe(204)
    expect((await sessionOf(world.a.keys.viewer)).status).toBe(200)
  })
})

describe('password', () => {
  const change = (as: string, body: object | string) => world.call('POST', '/api/v1/auth/password', { as, body })

  test('changes it and ends every session of the user', async () => {
    const { username } = await user()
    const one = (await inA({ username, password: PASSWORD })).body.token
    const two = (await inA({ username, password: PASSWORD })).body.token
    const next = 'Another-horse-8'
    expect((await change(one, { current_password: PASSWORD, new_password: next })).status).toBe(204)
    for (const token of [one, two]) expect((await sessionOf(token)).status).toBe(401)
    expect((await inA({ username, password: PASSWORD })).status).toBe(401)
    expect((await inA({ username, password: next })).status).toBe(200)
  })

  test('refuses in the words of the document', async () => {
    const { username } = await user()
    const { token } = (await inA({ username, password: PASSWORD })).body
    const refusals: [object | string, number, string | RegExp][] = [
      ['[', 400, 'invalid request body'],
      [{ new_password: 'x' }, 400, 'current_password required'],
      [{ current_password: PASSWORD }, 400, 'new_password required'],
      [{ current_password: PASSWORD, new_password: 'short' }, 400, /at least 12 characters/],
      [{ current_password: 'Wrong-horse-77', new_password: 'Another-horse-8' }, 401, 'invalid current password'],
    ]
    for (const [body, status, error] of refusals)
      expect(await change(token, body), JSON.stringify(body)).toMatchObject({
        status,
        body: { error: typeof error === 'string' ? error : expect.stringMatching(error) },
      })
    expect((await sessionOf(token)).status).toBe(200)
    expect(
      await change(world.a.keys.viewer, { current_password: PASSWORD, new_password: 'Another-horse-8' }),
    ).toMatchObject({ status: 404, body: { error: 'user not found' } })
  })
})
