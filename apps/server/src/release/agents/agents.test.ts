import { createPrivateKey, X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sql } from '../../kernel/db/index.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { REQUESTS, WEAK_REQUEST } from './csr-samples.ts'

const HOUR = 3_600_000

let world: World
let count = 0
beforeAll(async () => {
  world = await openWorld({ movableClock: true })
})
afterAll(() => world.close())

const newToken = async (body: object = {}, as = world.a.keys.operator) => {
  const made = await world.call('POST', '/api/v1/admin/agent-tokens', { as, body })
  expect(made.status, JSON.stringify(made.body)).toBe(201)
  return made.body.data as { id: string; token: string; expiresAt: string }
}

const register = (token: string | undefined, over: object = {}, header = 'x-agent-token') => {
  count += 1
  const body = { name: `agent-${count}`, version: '1.2.3', capabilities: ['docker', 'exec'], ...over }
  return world.call('POST', '/api/v1/agents/register', {
    as: null,
    body,
    headers: token === undefined ? {} : { [header]: token },
  })
}

const registered = async (over: object = {}, tokenBody: object = {}) => {
  const made = await register((await newToken(tokenBody)).token, over)
  expect(made.status, JSON.stringify(made.body)).toBe(201)
  return made.body.data
}

const beat = (agentId: string, token: string, over: object = {}) =>
  world.call('POST', `/api/v1/agents/${agentId}/heartbeat`, {
    as: token,
    body: {
      status: 'online',
      version: '1.2.3',
      resources: { cpuPercent: 10, memoryPercent: 20, diskPercent: 30 },
      runningTasks: [],
      ...over,
    },
  })

const read = async (id: string) =>
  (await world.call('GET', `/api/v1/agents/${id}`, { as: world.a.keys.viewer })).body.data

const published = async (id: string): Promise<string[]> => {
  const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
    tx.many<{ type: string }>(sql`
      select type from (select body ->> 'type' as type, at, body -> 'resource' ->> 'id' as id from outbox where kind = 'event'
        union all select type, at, resource_id from events) as every where id = ${id} and type like 'agent.%' order by at, type desc`),
  )
  return rows.map(({ type }) => type)
}

describe('registration', () => {
  test('uses a one-time token up and gives identity, settings and a certificate', async () => {
    const { token } = await newToken({ labels: { zone: 'a' } })
    const made = await register(token, { name: 'first', labels: { team: 'x' }, host: { os: 'linux', arch: 'x64' } })
    expect(made).toMatchObject({
      status: 201,
      body: { data: { config: { heartbeatInterval: 30, taskPollInterval: 5, logLevel: 'info' } } },
    })
    const { agentId, token: jwt, certificate } = made.body.data
    expect(jwt.split('.')).toHaveLength(3)
    const [own, ca] = [new X509Certificate(certificate.cert), new X509Certificate(certificate.ca)]
    expect(own.verify(ca.publicKey)).toBe(true)
    expect(own.checkIssued(ca)).toBe(true)
    expect(own.checkPrivateKey(createPrivateKey(certificate.key))).toBe(true)
    expect(own.subject).toContain(`CN=${agentId}`)
    expect([own.ca, ca.ca, own.keyUsage]).toEqual([false, true, ['1.3.6.1.5.5.7.3.2']])
    expect(Date.parse(own.validTo) - world.kernel.clock.now()).toBeGreaterThan(23 * HOUR)
    expect(await read(agentId)).toMatchObject({
      name: 'first',
      version: '1.2.3',
      status: 'offline',
      state: 'active',
      capabilities: ['docker', 'exec'],
      labels: { zone: 'a', team: 'x' },
      lastHeartbeatAt: null,
      runningTasks: 0,
      maxConcurrentTasks: 4,
      certificate: { fingerprint: own.fingerprint256.replaceAll(':', '').toLowerCase() },
      host: { os: 'linux', arch: 'x64' },
      rowVersion: 1,
      recentTasks: [],
      heartbeatHistory: [],
    })
    expect(await published(agentId)).toEqual(['agent.registered'])
    expect(await register(token)).toMatchObject({ status: 409, body: { error: { code: 'AGT_TOKEN_USED' } } })
  })

  test.each(Object.entries(REQUESTS))(
    'certifies the key of a request (%s), and never sees its private half',
    async (_kind, { csr, publicKey }) => {
      const { agentId, certificate } = await registered({ csr })
      expect(certificate.key).toBeNull()
      const own = new X509Certificate(certificate.cert)
      expect(own.publicKey.export({ type: 'spki', format: 'pem' })).toBe(publicKey)
      expect(own.verify(new X509Certificate(certificate.ca).publicKey)).toBe(true)
      expect(own.subject).toContain(`CN=${agentId}`)
    },
  )

  test('refuses a request that is forged, cut short, weak or none; the token stays good', async () => {
    const { csr } = REQUESTS.ec
    const body = Buffer.from(csr.replace(/-----.*-----|\s/g, ''), 'base64')
    const framed = (bytes: Buffer) =>
      `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
    const forged = Buffer.from(body)
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
    const { token } = await newToken()
    for (const bad of [
      framed(forged),
      framed(body.subarray(0, 50)),
      framed(Buffer.from([0x30, 0x80])),
      WEAK_REQUEST,
      'nonsense',
    ])
      expect(await register(token, { csr: bad })).toMatchObject({
        status: 400,
        body: { error: { validationErrors: [{ field: 'csr', code: 'format' }] } },
      })
    expect((await register(token, { csr }, 'x-registration-token')).status).toBe(201)
  })

  test('refuses what is no token, a late one, and what the token does not allow', async () => {
    const { token } = await newToken({ capabilities: ['docker'], expiresInSeconds: 300 })
    const invalid = { status: 401, body: { success: false, error: { code: 'AGT_TOKEN_INVALID' } } }
    expect(await register('reg_nothing')).toMatchObject(invalid)
    expect(await register(undefined)).toMatchObject(invalid)
    expect(await register(token, { capabilities: ['docker', 'ssh'] })).toMatchObject({
      status: 400,
      body: { error: { validationErrors: [{ field: 'capabilities[1]', code: 'enum' }] } },
    })
    world.clock?.advance(301_000)
    expect(await register(token)).toMatchObject({ status: 401, body: { error: { code: 'AGT_TOKEN_EXPIRED' } } })
  })

  test('a taken name is refused, and the token stays good', async () => {
    await registered({ name: 'taken' })
    const { token } = await newToken()
    expect(await register(token, { name: 'taken' })).toMatchObject({
      status: 409,
      body: { error: { code: 'RES_DUPLICATE_NAME' } },
    })
    expect((await register(token, { name: 'free' })).status).toBe(201)
  })

  test('of two agents with the same token one passes', async () => {
    const { token } = await newToken()
    const both = await Promise.all([register(token), register(token)])
    expect(both.map(({ status }) => status).sort()).toEqual([201, 409])
  })

  test('no clear token lies in the database', async () => {
    const { token } = await newToken()
    const headers = { 'idempotency-key': 'one-token' }
    const ask = () => world.call('POST', '/api/v1/admin/agent-tokens', { as: world.a.keys.operator, body: {}, headers })
    const [first, again] = [await ask(), await ask()]
    expect(again.body).toEqual(first.body)
    const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.many<{ text: string }>(
        sql`select agent_join_tokens::text as text from agent_join_tokens union all select idempotency::text from idempotency
            union all select outbox::text from outbox union all select audit::text from audit`,
      ),
    )
    for (const secret of [token, first.body.data.token])
      expect(rows.filter(({ text }) => text.includes(secret))).toEqual([])
  })
})

describe('a heartbeat', () => {
  test('brings an agent online, and its silence takes it offline', async () => {
    const { agentId, token } = await registered()
    const answer = await beat(agentId, token, { runningTasks: [world.a.id] })
    expect(answer).toMatchObject({
      status: 200,
      body: { data: { config: { heartbeatInterval: 30 }, tasks: [], cancelTasks: [] } },
    })
    expect(answer.body.data).not.toHaveProperty('token')
    expect(answer.headers.get('x-ratelimit-limit')).not.toBeNull()
    const seen = await read(agentId)
    expect(seen).toMatchObject({
      status: 'online',
      lastHeartbeatAt: new Date(world.kernel.clock.now()).toISOString(),
      resources: { cpuPercent: 10, memoryPercent: 20, diskPercent: 30 },
      runningTasks: 1,
      heartbeatHistory: [{ cpuPercent: 10, memoryPercent: 20 }],
    })
    const { presence } = world.kernel.agents
    world.clock?.advance(61_000)
    await presence.sweep()
    expect((await read(agentId)).status).toBe('degraded')
    world.clock?.advance(31_000)
    await presence.sweep()
    expect(await read(agentId)).toMatchObject({ status: 'offline', lastHeartbeatAt: seen.lastHeartbeatAt })
    world.clock?.advance(1000)
    await beat(agentId, token, { status: 'degraded' })
    expect((await read(agentId)).status).toBe('degraded')
    expect(await published(agentId)).toEqual(['agent.registered', 'agent.online', 'agent.offline', 'agent.online'])
  })

  test('is taken from the agent itself alone', async () => {
    const [one, other] = [await registered(), await registered()]
    expect(await beat(one.agentId, other.token)).toMatchObject({
      status: 403,
      body: { error: { code: 'PERM_AGENT_MISMATCH' } },
    })
    expect((await beat(one.agentId, world.a.keys.admin)).status).toBe(403)
    expect((await world.call('GET', '/api/v1/agents', { as: one.token })).status).toBe(403)
  })

  test('brings another token and certificate before the present ones end', async () => {
    const { agentId, token, certificate } = await registered()
    world.clock?.advance(17 * HOUR)
    const answer = await beat(agentId, token)
    const { token: next, certificate: renewed } = answer.body.data
    expect(next).not.toBe(token)
    expect(new X509Certificate(renewed.cert).checkPrivateKey(createPrivateKey(certificate.key))).toBe(true)
    world.clock?.advance(8 * HOUR)
    expect(await beat(agentId, token)).toMatchObject({ status: 401, body: { error: { code: 'AUTH_TOKEN_EXPIRED' } } })
    expect((await beat(agentId, next)).status).toBe(200)
  })

  test('changes what is known of the agent', async () => {
    const { agentId, token } = await registered()
    await beat(agentId, token, { version: '2.0.0', capabilities: ['docker', 'compose'] })
    expect(await read(agentId)).toMatchObject({ version: '2.0.0', capabilities: ['docker', 'compose'] })
  })

  test('keeps the last sixty', async () => {
    const { agentId, token } = await registered()
    for (let i = 0; i < 63; i++) {
      await beat(agentId, token, { resources: { cpuPercent: i, memoryPercent: 1, diskPercent: 1 } })
      world.clock?.advance(30_000)
    }
    const { heartbeatHistory } = await read(agentId)
    expect(heartbeatHistory.map(({ cpuPercent }: { cpuPercent: number }) => cpuPercent)).toEqual(
      Array.from({ length: 60 }, (_, i) => 62 - i),
    )
  })
})

describe('settings', () => {
  const put = (id: string, body: object, headers = {}) =>
    world.call('PUT', `/api/v1/agents/${id}`, { as: world.a.keys.operator, body, headers })

  test('change labels, limits, state and behaviour', async () => {
    const { agentId, token } = await registered({ labels: { old: '1' } })
    const changed = await put(
      agentId,
      {
        labels: { zone: 'b' },
        capabilities: ['exec'],
        maxConcurrentTasks: 9,
        state: 'inactive',
        config: { heartbeatInterval: 60, logLevel: 'debug' },
      },
      { 'if-match': '"1"' },
    )
    expect(changed.headers.get('etag')).toBe('"2"')
    expect(changed.body.data).toMatchObject({
      labels: { zone: 'b' },
      capabilities: ['exec'],
      maxConcurrentTasks: 9,
      state: 'inactive',
      rowVersion: 2,
    })
    const answer = await beat(agentId, token, { capabilities: ['docker', 'exec'] })
    expect(answer.body.data.config).toEqual({ heartbeatInterval: 60, taskPollInterval: 5, logLevel: 'debug' })
    expect((await read(agentId)).capabilities).toEqual(['exec'])
    expect(await published(agentId)).toContain('agent.updated')
  })

  test('choose among what the agent reports, and for the version that was read', async () => {
    const { agentId } = await registered()
    expect(await put(agentId, { capabilities: ['exec', 'winrm'] })).toMatchObject({
      status: 400,
      body: { error: { validationErrors: [{ field: 'capabilities[1]', code: 'enum' }] } },
    })
    expect(await put(agentId, { state: 'inactive' }, { 'if-match': '"5"' })).toMatchObject({
      status: 409,
      body: { error: { code: 'RES_VERSION_CONFLICT' } },
    })
    expect((await put(agentId, { state: 'revoked' })).status).toBe(400)
  })
})

describe('removal', () => {
  const remove = (id: string, query = '') =>
    world.call('DELETE', `/api/v1/agents/${id}${query}`, { as: world.a.keys.operator })

  test('ends tokens and frees the name', async () => {
    const { agentId, token } = await registered({ name: 'leaving' })
    await beat(agentId, token)
    expect((await remove(agentId)).body.data).toEqual({ deleted: true })
    expect((await world.call('GET', `/api/v1/agents/${agentId}`)).status).toBe(404)
    expect((await beat(agentId, token)).status).toBe(401)
    expect(await published(agentId)).toContain('agent.revoked')
    await registered({ name: 'leaving' })
  })

  test('waits for running tasks unless it is forced', async () => {
    const { agentId, token } = await registered()
    await beat(agentId, token, { runningTasks: [world.a.id] })
    expect(await remove(agentId)).toMatchObject({ status: 409, body: { error: { code: 'AGT_HAS_RUNNING_TASKS' } } })
    expect((await remove(agentId, '?force=true')).status).toBe(200)
  })
})

test('the list narrows by status, capability, label and state, and sorts by what it shows', async () => {
  const tag = { batch: 'listed' }
  const one = await registered({ name: 'list-b', capabilities: ['docker'], labels: { ...tag, zone: 'x' } })
  const two = await registered({ name: 'list-a', capabilities: ['ssh'], labels: tag, maxConcurrentTasks: 8 })
  await beat(one.agentId, one.token)
  await world.call('PUT', `/api/v1/agents/${two.agentId}`, { body: { state: 'inactive' } })
  const names = async (query: string) =>
    (await world.call('GET', `/api/v1/agents?label=batch:listed&${query}`)).body.data.map(
      ({ name }: { name: string }) => name,
    )
  const filter = (value: object) => `filter=${encodeURIComponent(JSON.stringify(value))}`
  expect(await names('')).toEqual(['list-a', 'list-b'])
  expect(await names('status=online')).toEqual(['list-b'])
  expect(await names('status=online,offline')).toEqual(['list-a', 'list-b'])
  expect(await names('capability=ssh')).toEqual(['list-a'])
  expect(await names('state=inactive')).toEqual(['list-a'])
  expect(await names('label=zone:x')).toEqual(['list-b'])
  expect(await names(filter({ status: 'offline' }))).toEqual(['list-a'])
  expect(await names(filter({ maxConcurrentTasks: { $gt: 4 } }))).toEqual(['list-a'])
  expect(await names(filter({ 'labels.zone': null }))).toEqual(['list-a'])
  expect(await names(filter({ lastHeartbeatAt: { $exists: true } }))).toEqual(['list-b'])
  expect(await names('sort=-status')).toEqual(['list-b', 'list-a'])
  expect(await names('sort=lastHeartbeatAt')).toEqual(['list-b', 'list-a'])
  expect((await world.call('GET', '/api/v1/agents?status=sleepy')).status).toBe(400)
})
