import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openSession, TOKEN_AUDIENCE, TOKEN_ISSUER } from '../../kernel/identity/index.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
let cookie: string
beforeAll(async () => {
  world = await openWorld()
})
beforeEach(async () => {
  const { kernel, a } = world
  const { token } = await kernel.db.auth((tx) =>
    openSession(tx, kernel.clock.now(), { tenantId: a.id, principalId: a.adminId, kind: 'session' }),
  )
  cookie = `wheelhouse_session=${token}`
})
afterAll(() => world.close())

const PATH = '/wheelhouse/api/v1/session'
const own = () => ({ cookie, origin: world.url })

test('tells who the caller is and what they may do', async () => {
  const byCookie = await world.call('GET', PATH, { as: null, headers: { cookie } })
  expect(byCookie).toMatchObject({
    status: 200,
    body: {
      principal: { kind: 'user', subject: 'admin@alpha.test', keyId: null },
      tenant: { id: world.a.id, slug: world.a.slug, name: 'alpha' },
      floor: 'ADMIN',
      naming: { short: 'Wheelhouse' },
      oidc: false,
    },
  })
  expect(byCookie.body.grants[0]).toContain('*')
  const byKey = await world.call('GET', PATH, { as: world.a.keys.operator })
  expect(byKey.body).toMatchObject({ principal: { kind: 'key' }, floor: 'OPERATOR', roles: ['operator'] })
})

describe('a page’s token', () => {
  test('comes for the cookie, opens the surfaces that take none, and ends with the session', async () => {
    const issued = await world.call('POST', `${PATH}/token`, { as: null, headers: own() })
    expect(issued).toMatchObject({ status: 200, body: { tokenType: 'Bearer' } })
    expect(issued.headers.get('cache-control')).toBe('no-store')
    const { token, expiresAt } = issued.body
    expect(Date.parse(expiresAt) - Date.now()).toBeLessThanOrEqual(15 * 60_000)
    expect(await world.call('GET', '/api/v1/userinfo', { as: token })).toMatchObject({
      status: 200,
      body: { admin: true },
    })
    expect(await world.call('GET', '/api/v1/userinfo', { as: null, headers: { cookie } })).toMatchObject({
      status: 401,
    })
    const ended = await world.call('DELETE', PATH, { as: null, headers: own() })
    expect(ended.status).toBe(204)
    expect(ended.headers.getSetCookie().map((line) => line.split(';')[0])).toEqual([
      'wheelhouse_session=',
      'cordum_session=',
    ])
    expect(ended.headers.getSetCookie()[0]).toMatch(/HttpOnly; SameSite=Lax; Path=\/; Max-Age=0/)
    expect(await world.call('GET', '/api/v1/userinfo', { as: token })).toMatchObject({ status: 401 })
    await expect.poll(async () => (await world.call('GET', PATH, { as: null, headers: { cookie } })).status).toBe(401)
  })

  test('is not given to another site', async () => {
    for (const headers of [{ cookie }, { cookie, origin: 'https://evil.example' }] as Record<string, string>[])
      expect(await world.call('POST', `${PATH}/token`, { as: null, headers })).toMatchObject({
        status: 403,
        body: { code: 'PERM_CSRF' },
      })
  })

  test('is signed by the keys that are published', async () => {
    const { body } = await world.call('POST', `${PATH}/token`, { as: world.a.keys.viewer })
    const jwks = await world.call('GET', '/.well-known/jwks.json', { as: null })
    expect(JSON.stringify(jwks.body)).not.toContain('"d"')
    const { payload } = await jwtVerify(body.token, createLocalJWKSet(jwks.body as JSONWebKeySet), {
      issuer: TOKEN_ISSUER,
      audience: TOKEN_AUDIENCE,
    })
    expect(payload).toMatchObject({ tenant_id: world.a.id, tenant: world.a.slug, roles: ['viewer'] })
    expect(payload['permissions']).toContain('job:read')
  })
})

test('a key has no session to end', async () => {
  expect(await world.call('DELETE', PATH, { as: world.a.keys.admin })).toMatchObject({ status: 409 })
})
