import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openSession } from '../../kernel/identity/index.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
const open: NatsConnection[] = []
beforeAll(async () => {
  world = await openWorld()
})
afterEach(() => Promise.all(open.splice(0).map((connection) => connection.close())))
afterAll(() => world.close())

const make = (body: object, as: string = world.a.keys.admin) => world.call('POST', '/api/v1/keys', { as, body })
const change = (id: string, body: object, as: string = world.a.keys.admin) =>
  world.call('PUT', `/api/v1/key/${id}`, { as, body })

interface Credentials {
  jwt: string
  seed: string
  inboxPrefix?: string
}

async function connected({ jwt, seed, inboxPrefix }: Credentials): Promise<NatsConnection> {
  const connection = await connect({
    servers: world.kernel.natsUrls.client,
    authenticator: jwtAuthenticator(jwt, new TextEncoder().encode(seed)),
    reconnect: false,
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
  })
  open.push(connection)
  return connection
}

/** What the server says of publishing or subscribing: the violated permission, or 'allowed'. */
async function attempt(connection: NatsConnection, act: (connection: NatsConnection) => void): Promise<string> {
  const refused = (async () => {
    for await (const status of connection.status()) if (status.type === 'error') return String(status.error.message)
    return 'closed'
  })()
  act(connection)
  await connection.flush()
  await connection.flush()
  return Promise.race([refused, Promise.resolve('allowed')])
}

const exchange = (token: string) => world.call('GET', '/api/v1/apikey', { as: token })

describe('making a key', () => {
  test('answers all of it with the token once, and lists it without', async () => {
    const made = await make({ name: 'mine', pub: { allow: ['cirata.extensions.myext.>'] }, notes: 'n' })
    expect(made).toMatchObject({
      status: 200,
      body: {
        name: 'mine',
        kind: 'user',
        admin: true,
        notes: 'n',
        expires: null,
        capabilities: { pub: { allow: ['cirata.extensions.myext.>'] }, sub: {} },
      },
    })
    expect(made.body.account).toMatch(/^A[A-Z2-7]{55}$/)
    expect(made.headers.get('cache-control')).toBe('no-store')
    const list = await world.call('GET', '/api/v1/keys')
    expect(list.body[0]).toMatchObject({ id: made.body.id, expired: false })
    expect(JSON.stringify(list.body)).not.toContain(made.body.token)
    expect(await world.call('GET', '/api/v1/userinfo', { as: made.body.token })).toMatchObject({
      status: 200,
      body: { admin: true, key: { id: made.body.id, name: 'mine' }, account: made.body.account },
    })
  })

  test('takes the stored spelling, but not both at once', async () => {
    const capabilities = { sub: { allow: ['cirata.extensions.a.>'] } }
    expect((await make({ name: 'k', capabilities })).body.capabilities).toEqual({ pub: {}, ...capabilities })
    expect(await make({ name: 'k', capabilities, pub: { allow: [] } })).toMatchObject({ status: 400 })
  })

  test.each([
    [{}, /name/],
    [{ name: '' }, /name/],
    [{ name: 'k', pub: { allow: ['a..b'] } }, /empty token/],
    [{ name: 'k', pub: { allow: ['a.>.b'] } }, /end/],
    [{ name: 'k', sub: { allow: ['a b c'] } }, /queue/],
    [{ name: 'k', pub: { allow: Array<string>(201).fill('a') } }, /200/],
    [{ name: 'k', expires: '2020-01-01T00:00:00Z' }, /expires/],
    [{ name: 'k', pub: { allow: ['_WH.reply.x'] } }, /reserved/],
    [{ name: 'k', account: 'tenant', sub: { allow: ['>'] } }, /beside workers/],
    [{ name: 'k', account: 'own', sub: { allow: ['job.>'] } }, /account/],
    [{ name: 'k', kind: 'tryit', pub: { allow: ['a'] } }, /tryit/],
  ])('refuses %j', async (body, reason) => {
    const refused = await make(body)
    expect(refused).toMatchObject({ status: 400 })
    expect(refused.body.error).toMatch(reason)
  })

  test('stops at the ceiling: nobody gives subjects that they do not hold', async () => {
    const { keys } = world.a
    expect(await make({ name: 'k', pub: { allow: ['cirata.extensions.any.>'] } }, keys.viewer)).toMatchObject({
      status: 403,
      body: { error: 'Forbidden' },
    })
    expect(await make({ name: 'k', pub: { allow: ['cirata.extensions.any.>'] } }, keys.developer)).toMatchObject({
      status: 200,
    })
    expect(await make({ name: 'k', pub: { allow: ['_INBOX.>', '$JS.>'] } }, keys.viewer)).toMatchObject({ status: 200 })
    expect(await make({ name: 'k', sub: { allow: ['job.>'] } }, keys.developer)).toMatchObject({ status: 403 })
    expect(await make({ name: 'k', sub: { allow: ['job.>'] } }, keys.operator)).toMatchObject({ status: 200 })
  })

  test('a confined key makes only confined keys', async () => {
    const { body } = await make({ name: 'child' }, world.a.keys.viewer)
    expect(body.admin).toBe(false)
    expect(await world.call('GET', '/api/v1/userinfo', { as: body.token })).toMatchObject({
      body: { roles: ['viewer'] },
    })
    expect(await make({ name: 'child', admin: true }, world.a.keys.viewer)).toMatchObject({ status: 403 })
    const limited = await make({
      name: 'limited',
      pub: { allow: ['cirata.extensions.a.>'] },
      expires: '2099-01-01T00:00:00.000Z',
    })
    const grandchild = await make({ name: 'grandchild' }, limited.body.token)
    expect(grandchild.body).toMatchObject({
      capabilities: { pub: { allow: ['cirata.extensions.a.>'] } },
      expires: '2099-01-01T00:00:00.000Z',
    })
    expect(await make({ name: 'k', expires: null }, limited.body.token)).toMatchObject({ status: 403 })
    expect(await make({ name: 'k', pub: { allow: ['cirata.>'] } }, limited.body.token)).toMatchObject({ status: 403 })
  })

  test('without the admin flag it does not work on /admin', async () => {
    const { body } = await make({ name: 'k', admin: false })
    expect(await world.call('GET', '/api/v1/admin/roles', { as: body.token })).toMatchObject({ status: 403 })
    expect(await world.call('GET', '/api/v1/userinfo', { as: body.token })).toMatchObject({ body: { admin: false } })
  })

  test('of kind tryit lasts five minutes, reaches extensions alone, and makes no keys', async () => {
    const { body } = await make({ name: 'try', kind: 'tryit' })
    expect(Date.parse(body.expires) - Date.now()).toBeLessThanOrEqual(5 * 60_000)
    expect(body).toMatchObject({
      admin: false,
      capabilities: { pub: { allow: ['cirata.extensions.>'] }, sub: { allow: [] } },
    })
    expect(await world.call('GET', '/api/v1/roles', { as: body.token })).toMatchObject({
      body: { permissions: { pub: { allow: ['cirata.extensions.>'] } } },
    })
    expect(await make({ name: 'k' }, body.token)).toMatchObject({ status: 403 })
  })
})

describe('changing a key', () => {
  test('leaves what is absent, replaces what is there, and null takes a limit away', async () => {
    const { body } = await make({ name: 'k', pub: { allow: ['a.b'] }, sub: { allow: ['c'] }, notes: 'n' })
    const changed = await change(body.id, { name: 'other', pub: null })
    expect(changed).toMatchObject({
      status: 200,
      body: { name: 'other', notes: 'n', capabilities: { pub: {}, sub: { allow: ['c'] } } },
    })
    expect(changed.body).not.toHaveProperty('token')
  })

  test.each([{ id: 'other' }, { token: 'x' }, { account: 'AOTHER' }, { kind: 'cli' }])('keeps %j', async (body) => {
    const made = await make({ name: 'k' })
    expect(await change(made.body.id, body)).toMatchObject({ status: 400 })
    expect(await change(made.body.id, { id: made.body.id, account: made.body.account, kind: 'user' })).toMatchObject({
      status: 200,
    })
  })

  test('a key does not widen itself, and another user’s key is not there', async () => {
    const { body } = await make({ name: 'k', pub: { allow: ['a.b'] }, expires: '2090-01-01T00:00:00Z', admin: false })
    for (const wider of [
      { pub: null },
      { pub: { allow: ['a.*'] } },
      { expires: null },
      { expires: '2091-01-01T00:00:00Z' },
      { admin: true },
    ])
      expect([wider, (await change(body.id, wider, body.token)).status]).toEqual([wider, 403])
    expect(await change(body.id, { pub: { allow: [] }, name: 'less' }, body.token)).toMatchObject({ status: 200 })
    expect(await change(body.id, { name: 'x' }, world.b.keys.admin)).toMatchObject({ status: 404 })
    expect(await world.call('DELETE', `/api/v1/key/${body.id}`, { as: world.b.keys.admin })).toMatchObject({
      status: 404,
    })
  })

  test('a weak key neither changes nor deletes a strong one of the same owner', async () => {
    const { body } = await make({ name: 'strong' })
    expect(await change(body.id, { name: 'x' }, world.a.keys.viewer)).toMatchObject({ status: 403 })
    expect(await world.call('DELETE', `/api/v1/key/${body.id}`, { as: world.a.keys.viewer })).toMatchObject({
      status: 403,
    })
  })
})

describe('credentials of a key on NATS', () => {
  test('log in to the real server and are held to their subjects', async () => {
    const made = await make({
      name: 'ext',
      pub: { allow: ['cirata.extensions.mine.>'] },
      sub: { allow: ['cirata.extensions.mine.>'] },
    })
    const credentials = await exchange(made.body.token)
    expect(credentials).toMatchObject({ status: 200, body: { id: made.body.id, account: made.body.account } })
    expect(credentials.body.seed).toMatch(/^SU[A-Z2-7]{56}$/)
    expect(credentials.headers.get('cache-control')).toBe('no-store')
    const connection = await connected(credentials.body)
    expect(await attempt(connection, (nc) => nc.publish('cirata.extensions.mine.a'))).toBe('allowed')
    expect(await attempt(connection, (nc) => nc.publish('cirata.extensions.other'))).toMatch(
      /Permissions Violation.*other/i,
    )
    expect(await attempt(connection, (nc) => void nc.subscribe('cirata.extensions.>'))).toMatch(
      /Permissions Violation/i,
    )
    const again = await exchange(made.body.token)
    expect(again.body.seed).toBe(credentials.body.seed)
  })

  test('of workers stand in the tenant’s account, with an inbox of their own', async () => {
    const made = await make({ name: 'w', pub: { allow: ['sys.heartbeat'] }, sub: { allow: ['job.>'] } })
    const own = await make({ name: 'own' })
    expect(made.body.account).not.toBe(own.body.account)
    const credentials = await exchange(made.body.token)
    expect(credentials.body.inboxPrefix).toMatch(/^_INBOX_/)
    const worker = await connected(credentials.body)
    const jobs: string[] = []
    worker.subscribe('job.>', { callback: (_error, message) => void jobs.push(message.string()) })
    await worker.flush()
    const heard: string[] = []
    const listening = world.kernel.bus.fromAccounts('sys.job.submit', (message) => void heard.push(message.user ?? ''))
    await world.kernel.bus.ping()
    world.kernel.bus.toAccount(made.body.account, 'job.a', Buffer.from('do'))
    await expect.poll(() => jobs).toEqual(['do'])
    expect(await attempt(worker, (nc) => nc.publish('job.a'))).toMatch(/Permissions Violation/i)
    listening.close()
  })

  test('lead back to the principal of the key', async () => {
    const made = await make({ name: 'who' })
    await exchange(made.body.token)
    const [row] = await world.kernel.db.tenant(world.a.id, async (tx) => {
      const { sql } = await import('../../kernel/db/index.ts')
      return tx.many<{ key: string }>(sql`select nats_public_key as key from api_keys where id = ${made.body.id}`)
    })
    const principal = await world.kernel.identity.principalOfNkey(row?.key ?? '')
    expect(principal).toMatchObject({ keyId: made.body.id, tenantId: world.a.id, credential: 'bus' })
    expect(await world.kernel.identity.principalOfNkey('UNOBODY')).toBeUndefined()
  })

  test('end with the key, and with what narrows it', async () => {
    const made = await make({ name: 'k', pub: { allow: ['a.>'] } })
    const before = await exchange(made.body.token)
    const connection = await connected(before.body)
    expect(await change(made.body.id, { pub: { allow: ['a.b'] } })).toMatchObject({ status: 200 })
    await connection.closed()
    const narrowed = await connected((await exchange(made.body.token)).body)
    expect(await attempt(narrowed, (nc) => nc.publish('a.c'))).toMatch(/Permissions Violation/i)
    expect(await world.call('DELETE', `/api/v1/key/${made.body.id}`)).toMatchObject({
      status: 200,
      body: { deleted: made.body.id },
    })
    await narrowed.closed()
    expect(await exchange(made.body.token)).toMatchObject({ status: 401, body: { error: 'Unauthorized' } })
    await expect(connected(before.body)).rejects.toThrow(/Authorization/)
  })

  test('of a session carry the rights of its roles and end with it', async () => {
    const { kernel, a } = world
    const session = await kernel.db.auth((tx) =>
      openSession(tx, kernel.clock.now(), { tenantId: a.id, principalId: a.adminId, kind: 'session' }),
    )
    const [one, two] = await Promise.all([exchange(session.token), exchange(session.token)])
    expect(one).toMatchObject({ status: 200 })
    expect(two.body.id).toBe(one.body.id)
    const connection = await connected(one.body)
    expect(await attempt(connection, (nc) => nc.publish('cirata.extensions.any'))).toBe('allowed')
    const list = await world.call('GET', '/api/v1/keys', { as: session.token })
    expect(list.body).toContainEqual(expect.objectContaining({ id: one.body.id, kind: 'session' }))
    const { closeSession } = await import('../../kernel/identity/index.ts')
    await closeSession(kernel.db, session.token)
    await kernel.identity.sweep(new AbortController().signal)
    await connection.closed()
    expect(await exchange(session.token)).toMatchObject({ status: 401 })
  })
})

test('freezing a principal ends its sessions, keys and connections within a second', async () => {
  const { kernel, b } = world
  const made = await make({ name: 'k' }, world.b.keys.admin)
  const connection = await connected((await exchange(made.body.token)).body)
  const session = await kernel.db.auth((tx) =>
    openSession(tx, kernel.clock.now(), { tenantId: b.id, principalId: b.adminId, kind: 'session' }),
  )
  expect(await world.call('GET', '/api/v1/userinfo', { as: session.token })).toMatchObject({ status: 200 })
  const { token } = await kernel.tokens.issue(await world.principal(made.body.token), 60_000)
  const started = performance.now()
  await kernel.identity.freezePrincipal(b.id, b.adminId)
  await connection.closed()
  for (const credential of [made.body.token, session.token, token])
    expect(await world.call('GET', '/api/v1/userinfo', { as: credential })).toMatchObject({ status: 401 })
  expect(performance.now() - started).toBeLessThan(1000)
  await kernel.identity.thawPrincipal(b.id, b.adminId)
  expect(await world.call('GET', '/api/v1/userinfo', { as: made.body.token })).toMatchObject({ status: 200 })
  expect(await world.call('GET', '/api/v1/userinfo', { as: session.token })).toMatchObject({ status: 401 })
  await connected((await exchange(made.body.token)).body)
})
