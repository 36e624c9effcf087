import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'
import { openSession } from '../identity/index.ts'
import { recall, remember } from './idempotency.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({ config: (config) => void (config.cors.origins = ['https://ops.example']) })
})
afterAll(() => world.close())

const ROLES = '/api/v1/admin/roles'
const BAD_JSON = { body: '{"name":' }

describe('the order of checks', () => {
  test('what is too large is refused before anybody is asked who they are', async () => {
    const body = 'x'.repeat(1_048_577)
    expect(await world.call('POST', ROLES, { as: null, body })).toMatchObject({
      status: 413,
      body: { error: 'Request body too large' },
    })
    expect(await world.call('POST', ROLES, { as: null, body: JSON.stringify('x'.repeat(1_048_574)) })).toMatchObject({
      status: 401,
    })
  })

  test('the anonymous learn nothing, those without the right nothing of the body, the others what is wrong', async () => {
    expect(await world.call('POST', ROLES, { as: null, ...BAD_JSON })).toMatchObject({
      status: 401,
      body: { error: 'Unauthorized' },
    })
    expect(await world.call('POST', ROLES, { as: world.a.keys.viewer, ...BAD_JSON })).toMatchObject({ status: 403 })
    expect(await world.call('POST', ROLES, BAD_JSON)).toMatchObject({ status: 400 })
    expect((await world.call('POST', ROLES, { as: null })).headers.get('www-authenticate')).toBe('Bearer')
  })

  test('a wrong credential reads the same whichever way it is wrong', async () => {
    for (const authorization of [
      'Bearer nonsense',
      'Bearer eyJhbGciOiJub25lIn0.e30.',
      'Basic YTpi',
      'Bearer',
      'bearer  ',
    ])
      expect([
        authorization,
        await world.call('GET', '/api/v1/userinfo', { as: null, headers: { authorization } }),
      ]).toMatchObject([authorization, { status: 401, body: { error: 'Unauthorized' } }])
  })

  test('credentials in the query and in cookies do not count on the platform surface', async () => {
    const token = world.a.keys.admin
    for (const [path, headers] of [
      [`/api/v1/userinfo?token=${token}&apiKey=${token}`, {}],
      ['/api/v1/userinfo', { cookie: `wheelhouse_session=${token}; cordum_session=${token}` }],
      ['/api/v1/userinfo', { 'x-api-key': token }],
    ] as [string, Record<string, string>][])
      expect(await world.call('GET', path, { as: null, headers })).toMatchObject({ status: 401 })
  })
})

describe('bodies', () => {
  test('that grow over the limit while they come are cut off', async () => {
    const { hostname, port } = new URL(world.url)
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname)
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk.toString()
        if (text.includes('\r\n\r\n')) {
          socket.destroy()
          resolve(text)
        }
      })
      socket.on('error', (error) => (text === '' ? reject(error) : resolve(text)))
      socket.write(
        `POST ${ROLES} HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${world.a.keys.admin}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
      )
      const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
      for (let i = 0; i < 20; i++) socket.write(chunk)
    })
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
  })

  test.each([
    ['{"name":"a","name":"b"}', /name stands twice/],
    ['{"name":"a","description":{"__proto__":1}}', /__proto__/],
    ['{"constructor":1}', /constructor/],
    ['[]', /body/],
    [`{"name":${'['.repeat(70)}${']'.repeat(70)}}`, /deep/],
    ['{"name":"a\\u0000"}', /NUL/],
  ])('%s is refused on the platform surface', async (body, reason) => {
    const refused = await world.call('POST', ROLES, { body })
    expect(refused.status).toBe(400)
    expect(refused.body.error).toMatch(reason)
  })
})

test('half a character is refused, since it has no form in which it could be kept', async () => {
  const half = await world.call('POST', '/api/v1/jobs', { body: String.raw`{"prompt":"\ud800"}` })
  expect(half).toMatchObject({ status: 400 })
  const whole = await world.call('POST', '/api/v1/jobs', { body: String.raw`{"prompt":"\ud83d\ude80"}` })
  expect(whole).toMatchObject({ status: 200 })
})

describe('unknown paths and methods', () => {
  test('read in the manner of the surface', async () => {
    const native = await world.call('PATCH', '/wheelhouse/api/v1/session')
    expect(native).toMatchObject({ status: 405, body: { code: 'RES_METHOD_NOT_ALLOWED', status: 405 } })
    expect(native.headers.get('allow')?.split(', ').toSorted()).toEqual(['DELETE', 'GET'])
    expect(native.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(await world.call('DELETE', '/api/v1/ping')).toMatchObject({ status: 404, body: { error: 'Not found' } })
    expect(await world.call('GET', '/api/v1/no/such/thing')).toMatchObject({ status: 404, body: { statusCode: 404 } })
  })

  test('also where the path cannot even be decoded', async () => {
    expect(await world.call('GET', '/wheelhouse/api/v1/principals/%zz')).toMatchObject({
      status: 400,
      body: { status: 400, code: 'VAL_SCHEMA' },
    })
    const release = await world.call('GET', '/release/api/v1/targets/%')
    expect(release).toMatchObject({ status: 400, body: { success: false } })
    expect(release.headers.get('x-content-type-options')).toBe('nosniff')
    expect(release.headers.get('x-request-id')).toBeTruthy()
  })

  test('a surface’s own beginning takes only what is its own', async () => {
    expect(await world.call('GET', '/platform/api/v1/ping', { as: null })).toMatchObject({ status: 200 })
    expect(await world.call('GET', '/fleet/api/v1/ping', { as: null })).toMatchObject({ status: 404 })
  })
})

describe('ids of requests', () => {
  test('are the caller’s where they are sane, and ours where not', async () => {
    const ask = async (id?: string) =>
      (
        await world.call('GET', '/api/v1/ping', { as: null, headers: id === undefined ? {} : { 'x-request-id': id } })
      ).headers.get('x-request-id')
    expect(await ask('my-request_1.2')).toBe('my-request_1.2')
    expect(await ask()).toMatch(/^[0-9a-f-]{36}$/)
    for (const strange of ['a b', 'x'.repeat(65), '<script>']) expect(await ask(strange)).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('stand in refusals of the native surface', async () => {
    const refused = await world.call('GET', '/wheelhouse/api/v1/session', {
      as: null,
      headers: { 'x-request-id': 'abc' },
    })
    expect(refused).toMatchObject({ status: 401, body: { requestId: 'abc', instance: '/wheelhouse/api/v1/session' } })
  })
})

describe('other origins', () => {
  const preflight = (origin: string) =>
    world.call('OPTIONS', '/wheelhouse/api/v1/session', {
      as: null,
      headers: { origin, 'access-control-request-method': 'GET' },
    })

  test('are let in when they are configured, with credentials and never with a star', async () => {
    const allowed = await preflight('https://ops.example')
    expect(allowed.status).toBe(204)
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://ops.example')
    expect(allowed.headers.get('access-control-allow-credentials')).toBe('true')
    expect(allowed.headers.get('access-control-allow-headers')).toContain('Authorization')
    expect(allowed.headers.get('vary')).toContain('Origin')
    const answer = await world.call('GET', '/api/v1/ping', { as: null, headers: { origin: 'https://ops.example' } })
    expect(answer.headers.get('access-control-allow-origin')).toBe('https://ops.example')
  })

  test('are kept out otherwise, loopback too once there is a list', async () => {
    for (const origin of [
      'https://evil.example',
      'http://localhost:3000',
      'null',
      'https://ops.example.evil.example',
    ]) {
      const refused = await preflight(origin)
      expect([origin, refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([origin, 403, null])
      const answer = await world.call('GET', '/api/v1/ping', { as: null, headers: { origin } })
      expect(answer.headers.get('access-control-allow-origin')).toBeNull()
    }
  })

  test('do not ride on a cookie', async () => {
    const { kernel, a } = world
    const { token } = await kernel.db.auth((tx) =>
      openSession(tx, kernel.clock.now(), { tenantId: a.id, principalId: a.adminId, kind: 'session' }),
    )
    const post = (headers: Record<string, string>) =>
      world.call('POST', '/wheelhouse/api/v1/session/token', {
        as: null,
        headers: { cookie: `wheelhouse_session=${token}`, ...headers },
      })
    for (const [headers, status] of [
      [{}, 403],
      [{ origin: 'https://evil.example' }, 403],
      [{ 'sec-fetch-site': 'cross-site' }, 403],
      [{ origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' }, 403],
      [{ origin: world.url }, 200],
      [{ origin: 'https://ops.example' }, 200],
      [{ 'sec-fetch-site': 'same-origin' }, 200],
    ] as [Record<string, string>, number][])
      expect([headers, (await post(headers)).status]).toEqual([headers, status])
    // A bearer does not travel by itself.
    expect(
      (
        await world.call('POST', '/wheelhouse/api/v1/session/token', {
          as: token,
          headers: { origin: 'https://evil.example' },
        })
      ).status,
    ).toBe(200)
  })
})

describe('idempotency keys', () => {
  const PATH = '/release/api/v1/environments'
  let order = 900
  const environment = (name: string) => ({ name, displayName: name, orderIndex: order++, config: {} })
  const create = (body: object, key: string, as = world.a.keys.admin) =>
    world.call('POST', PATH, { as, body, headers: { 'idempotency-key': key } })

  test('give the first answer again, without doing it again', async () => {
    const body = environment('idem-one')
    const first = await create(body, 'key-1')
    expect(first).toMatchObject({ status: 201 })
    const second = await create(body, 'key-1')
    expect(second).toMatchObject({ status: 201, body: first.body })
    expect(second.headers.get('idempotent-replay')).toBe('true')
    expect(first.headers.get('idempotent-replay')).toBeNull()
  })

  test('refuse another body, and belong to one principal', async () => {
    await create(environment('idem-two'), 'key-2')
    expect(await create(environment('idem-three'), 'key-2')).toMatchObject({
      status: 409,
      body: { error: { code: 'RES_IDEMPOTENCY_CONFLICT' } },
    })
    expect(await create(environment('idem-four'), 'key-2', world.b.keys.admin)).toMatchObject({ status: 201 })
  })

  test('are not used up by a refusal', async () => {
    expect(await create({ name: 'Bad Name' }, 'key-3')).toMatchObject({ status: 400 })
    expect(await create(environment('idem-five'), 'key-3')).toMatchObject({ status: 201 })
  })

  test('must be printable', async () => {
    expect(await create(environment('idem-six'), 'k'.repeat(129))).toMatchObject({ status: 400 })
  })

  test('of two requests at once let one run and tell the other', async () => {
    const { db } = world.kernel
    const body = Buffer.from('{}')
    await db.tenant(world.a.id, async (tx) => {
      expect(await recall(tx, 'scope', 'racing', body)).toBeUndefined()
      await expect(db.tenant(world.a.id, (other) => recall(other, 'scope', 'racing', body))).rejects.toMatchObject({
        code: 'RES_IDEMPOTENCY_IN_FLIGHT',
      })
      await remember(tx, world.kernel.clock.now(), 'scope', 'racing', body, {
        status: 201,
        headers: {},
        body: '{"a":1}',
      })
    })
    expect(await db.tenant(world.a.id, (tx) => recall(tx, 'scope', 'racing', body))).toMatchObject({
      status: 201,
      body: '{"a":1}',
    })
    expect(await db.tenant(world.b.id, (tx) => recall(tx, 'scope', 'racing', body))).toBeUndefined()
  })
})

test('a stop ends although clients go on asking on connections that they keep open', async () => {
  const busy = await openWorld()
  const asking = new AbortController()
  const client = async (): Promise<void> => {
    while (!asking.signal.aborted)
      await fetch(`${busy.url}/api/v1/ping`, { signal: asking.signal }).then(
        (response) => response.text(),
        () => new Promise((resolve) => setTimeout(resolve, 20)),
      )
  }
  const clients = [client(), client(), client()]
  await busy.call('GET', '/api/v1/jobs')
  const began = performance.now()
  await busy.close()
  expect(performance.now() - began).toBeLessThan(9_000)
  asking.abort()
  await Promise.allSettled(clients)
})
