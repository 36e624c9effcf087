import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({ rateScale: 1 })
})
afterAll(() => world.close())

test('/health says what answers, and says only the word to those who want text', async () => {
  const answer = await world.call('GET', '/health', { as: null })
  expect(answer).toMatchObject({
    status: 200,
    body: {
      status: 'ok',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      checks: { database: { status: 'ok', latencyMs: expect.any(Number) }, redis: { status: 'ok' } },
    },
  })
  expect(answer.headers.get('x-ratelimit-limit')).toBeNull()
  const text = await world.call('GET', '/health', { as: null, headers: { accept: 'text/plain' } })
  expect(text.body).toBe('ok')
  expect(text.headers.get('content-type')).toMatch('text/plain')
})

test('version, stats and the console’s first question', async () => {
  expect((await world.call('GET', '/api/v1/version')).body).toMatchObject({ cli_available: false, sindri_cli: null })
  expect((await world.call('GET', '/api/config', { as: null })).body).toMatchObject({ authBypass: false })
  for (const name of ['s1', 's2'])
    await world.call('POST', '/api/v1/instances', { body: { name, provider: 'fly', distro: 'ubuntu' } })
  await world.call('POST', '/api/v1/instances', { body: { instance_id: 's3', provider: '' } })
  expect((await world.call('GET', '/api/v1/fleet/stats', { as: world.a.keys.viewer })).body).toMatchObject({
    total: 3,
    by_status: { RUNNING: 3 },
    by_provider: [
      { provider: 'fly', count: 2 },
      { provider: 'ssh', count: 1 },
    ],
    by_distro: { ubuntu: 2 },
    active_sessions: 0,
  })
  expect((await world.call('GET', '/api/v1/fleet/stats', { as: world.b.keys.viewer })).body.total).toBe(0)
})

test('/me is the user behind a key, with the rank of the key', async () => {
  expect((await world.call('GET', '/api/v1/me', { as: world.a.keys.developer })).body).toMatchObject({
    id: world.a.adminId,
    email: 'admin@alpha.test',
    role: 'DEVELOPER',
    is_active: true,
  })
  expect((await world.call('GET', '/api/v1/me', { as: world.a.keys['system-agent'] })).status).toBe(403)
})

test('reads and writes have the documented budgets of their classes, with their headers', async () => {
  const read = await world.call('GET', '/api/v1/instances', { as: world.a.keys.approver })
  expect(read.headers.get('x-ratelimit-limit')).toBe('100')
  const strict = () => world.call('POST', '/api/v1/instances/none/suspend', { as: world.a.keys.operator })
  const answers = []
  for (let n = 0; n < 11; n++) answers.push(await strict())
  expect(answers.map(({ status }) => status)).toEqual([...Array.from({ length: 10 }, () => 404), 429])
  expect(answers[0]?.headers.get('x-ratelimit-limit')).toBe('10')
  expect(answers[10]?.body).toMatchObject({
    error: 'Too Many Requests',
    statusCode: 429,
    retryAfter: expect.any(Number),
  })
  expect(answers[10]?.headers.get('retry-after')).toMatch(/^\d+$/)
  const ticket = await world.call('POST', '/api/v1/ws/ticket', { as: world.a.keys.operator })
  expect(ticket).toMatchObject({
    status: 200,
    body: { ticket: expect.stringMatching(/^[0-9a-f]{64}$/), expires_in: 30 },
  })
})

test('names the role that is missing', async () => {
  expect(await world.call('DELETE', '/api/v1/instances/s1', { as: world.a.keys.developer })).toMatchObject({
    status: 403,
    body: { error: 'Forbidden', message: 'This action requires the OPERATOR role or higher', statusCode: 403 },
  })
  expect(await world.call('GET', '/api/v1/audit', { as: world.a.keys.operator })).toMatchObject({
    status: 403,
    body: { message: 'This action requires the ADMIN role or higher' },
  })
  expect(await world.call('GET', '/api/v1/instances', { as: null })).toMatchObject({
    status: 401,
    body: { error: 'Unauthorized' },
  })
})

test('the trail tells in the fleet’s words who registered, who was refused, and from where', async () => {
  const { body } = await world.call('GET', '/api/v1/audit?resource=instance&pageSize=200')
  expect(body.logs).toEqual(body.data)
  const register = body.logs.filter((row: { metadata: { verb: string } }) => row.metadata.verb === 'instance.register')
  expect(register).toHaveLength(3)
  expect(register[2]).toMatchObject({
    action: 'CREATE',
    userId: world.a.adminId,
    userEmail: 'admin@alpha.test',
    resource: 'instance',
    ipAddress: expect.stringContaining('127.0.0.1'),
    metadata: { outcome: 'ok' },
  })
  const denied = await world.call('GET', `/api/v1/audit?action=DELETE&resource_id=s1&user_id=${world.a.adminId}`)
  expect(denied.body.pagination.total).toBe(0)
  const refused = await world.call('GET', '/api/v1/audit?action=DELETE')
  expect(refused.body.logs[0]).toMatchObject({ action: 'DELETE', metadata: { outcome: 'denied' } })
  expect((await world.call('GET', '/api/v1/audit', { as: world.b.keys.admin })).body.logs).toEqual([])
  expect((await world.call('GET', '/api/v1/audit?action=JUMP')).status).toBe(422)
})
