import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createUser, openSession, revokeKey } from '../../kernel/identity/index.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({ movableClock: true })
})
afterAll(() => world.close())

const BASE = '/wheelhouse/api/v1'
const post = (path: string, body: object, as: string | null = null) =>
  world.call('POST', `${BASE}${path}`, { as, body })
const form = (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
  world.call('POST', `${BASE}${path}`, {
    as: null,
    body: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  })

async function session(): Promise<string> {
  const { kernel, a } = world
  const opened = await kernel.db.auth((tx) =>
    openSession(tx, kernel.clock.now(), { tenantId: a.id, principalId: a.adminId, kind: 'session' }),
  )
  return opened.token
}

describe('client credentials', () => {
  test('trade a key for a token that holds what the key holds, and ends with it', async () => {
    const made = await world.call('POST', '/api/v1/keys', { body: { name: 'ci' }, as: world.a.keys.operator })
    const issued = await form('/token', {
      grant_type: 'client_credentials',
      client_id: made.body.id,
      client_secret: made.body.token,
    })
    expect(issued).toMatchObject({ status: 200, body: { token_type: 'Bearer', expires_in: 3600 } })
    expect(issued.headers.get('cache-control')).toBe('no-store')
    const token = issued.body.access_token
    expect(await world.call('GET', '/api/v1/userinfo', { as: token })).toMatchObject({
      body: { roles: ['operator'], admin: false, key: { id: made.body.id } },
    })
    const { kernel, a } = world
    await kernel.db.tenant(a.id, (tx) => revokeKey(tx, kernel.clock.now(), made.body.id))
    expect(await world.call('GET', '/api/v1/userinfo', { as: token })).toMatchObject({ status: 401 })
  })

  test('come in the body, as JSON or form, by Basic, or as bearer', async () => {
    const { keys } = world.a
    const { keyId = '' } = await world.principal(keys.viewer)
    const basic = `Basic ${Buffer.from(`${keyId}:${keys.viewer}`).toString('base64')}`
    const grant = { grant_type: 'client_credentials' }
    for (const answer of [
      await post('/token', { ...grant, client_secret: keys.viewer }),
      await form('/token', grant, { authorization: basic }),
      await form('/token', grant, { authorization: `Bearer ${keys.viewer}` }),
    ])
      expect(answer).toMatchObject({ status: 200 })
  })

  test.each([
    [{ grant_type: 'client_credentials' }, 401, 'invalid_client'],
    [{ grant_type: 'client_credentials', client_secret: 'wh_user_nothing' }, 401, 'invalid_client'],
    [{ grant_type: 'password', username: 'x' }, 400, undefined],
    [{ grant_type: 'implicit' }, 400, 'unsupported_grant_type'],
    [{ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange' }, 400, 'invalid_request'],
    [{ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: 'x' }, 400, 'invalid_grant'],
  ])('refuse %j', async (body, status, error) => {
    expect(await post('/token', body)).toMatchObject({ status, body: error === undefined ? {} : { error } })
  })

  test('refuse the id of another key', async () => {
    const { keyId = '' } = await world.principal(world.a.keys.admin)
    expect(
      await post('/token', { grant_type: 'client_credentials', client_id: keyId, client_secret: world.a.keys.viewer }),
    ).toMatchObject({ status: 401, body: { error: 'invalid_client' } })
  })
})

test('a session is exchanged for a token', async () => {
  const answer = await post('/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: await session(),
  })
  expect(await world.call('GET', '/api/v1/userinfo', { as: answer.body.access_token })).toMatchObject({
    status: 200,
    body: { subject: 'admin@alpha.test' },
  })
})

describe('the login of a device', () => {
  const start = () => post('/device', { client: 'laptop' })
  const poll = (code: string) =>
    form('/device/token', { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: code })

  test('waits for a person, then is a session of theirs, once', async () => {
    const begun = await start()
    expect(begun).toMatchObject({
      status: 200,
      body: { expires_in: 600, interval: 5, verification_uri: `${world.url}/device` },
    })
    const { device_code: code, user_code: shown } = begun.body
    expect(shown).toMatch(/^[B-Z]{4}-[B-Z]{4}$/)
    expect(await poll(code)).toMatchObject({ status: 400, body: { error: 'authorization_pending' } })
    expect(await poll(code)).toMatchObject({ status: 400, body: { error: 'slow_down' } })
    const as = await session()
    expect(await post('/device/look', { user_code: shown }, as)).toMatchObject({
      status: 200,
      body: { client: 'laptop', ip: '127.0.0.1' },
    })
    expect(await post('/device/approve', { user_code: shown.toLowerCase().replace('-', ' ') }, as)).toMatchObject({
      status: 200,
      body: { approved: true, client: 'laptop' },
    })
    expect(await post('/device/approve', { user_code: shown }, as)).toMatchObject({ status: 404 })
    const done = await poll(code)
    expect(done).toMatchObject({ status: 200, body: { token_type: 'Bearer' } })
    expect(await world.call('GET', '/api/v1/userinfo', { as: done.body.access_token })).toMatchObject({
      status: 200,
      body: { subject: 'admin@alpha.test' },
    })
    expect(await poll(code)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  })

  test('can be refused', async () => {
    const { body } = await start()
    await post('/device/approve', { user_code: body.user_code, approve: false }, await session())
    expect(await poll(body.device_code)).toMatchObject({ status: 400, body: { error: 'access_denied' } })
  })

  test('ends after ten minutes', async () => {
    const { body } = await start()
    world.clock?.advance(601_000)
    expect(await post('/device/approve', { user_code: body.user_code }, await session())).toMatchObject({ status: 404 })
    expect(await poll(body.device_code)).toMatchObject({ status: 400, body: { error: 'expired_token' } })
  })

  test('is confirmed by people alone, and not for a user who was frozen meanwhile', async () => {
    const { body } = await start()
    expect(await post('/device/approve', { user_code: body.user_code }, world.a.keys.admin)).toMatchObject({
      status: 403,
    })
    const { kernel, a } = world
    const user = await kernel.db.auth((tx) =>
      createUser(tx, kernel.clock.now(), { tenantId: a.id, username: 'eve', role: 'viewer' }),
    )
    const opened = await kernel.db.auth((tx) =>
      openSession(tx, kernel.clock.now(), { tenantId: a.id, principalId: user.id, kind: 'session' }),
    )
    expect(await post('/device/approve', { user_code: body.user_code }, opened.token)).toMatchObject({ status: 200 })
    await kernel.identity.freezePrincipal(a.id, user.id)
    expect(await poll(body.device_code)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  })
})
