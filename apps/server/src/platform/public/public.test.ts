import { afterAll, beforeAll, expect, test } from 'vitest'
import { type NatsFixture, startNats } from '../../testing/nats.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const get = (path: string) => world.call('GET', `/api/v1/${path}`, { as: null })

test('answers ping, health, ready and symphonyinfo to anybody', async () => {
  expect(await get('ping')).toMatchObject({ status: 200, body: { message: 'pong' } })
  expect(await get('health')).toMatchObject({
    status: 200,
    body: { status: 'ok', version: '0.1.0', components: { nats: { status: 'ok' }, messaging: { status: 'ok' } } },
  })
  await expect.poll(() => get('ready'), { timeout: 5000 }).toMatchObject({ status: 200, body: { ready: true } })
  const info = await get('symphonyinfo')
  expect(info).toMatchObject({
    status: 200,
    body: { name: 'Wheelhouse', short: 'Wheelhouse', version: '0.1.0', bootstrap: false },
  })
  expect(info.body.nats).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/)
  expect(info.body.natsClient).toMatch(/^nats:\/\/127\.0\.0\.1:\d+$/)
  expect(info.body).not.toHaveProperty('oidc')
})

test('carries the five security headers on answers and refusals', async () => {
  for (const path of ['ping', 'userinfo', 'nothing-here']) {
    const { headers } = await get(path)
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'x-xss-protection': '1; mode=block',
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
      'referrer-policy': 'strict-origin-when-cross-origin',
    })
  }
})

test('knows a path with another method as unknown', async () => {
  expect(await world.call('POST', '/api/v1/ping', { as: null })).toMatchObject({
    status: 404,
    body: { error: 'Not found' },
  })
})

test('turns degraded and, after three probes, not ready without NATS, and comes back with it', async () => {
  const nats: NatsFixture = await startNats()
  const alone = await openWorld({ nats })
  try {
    await expect.poll(() => alone.call('GET', '/api/v1/ready', { as: null }).then(({ status }) => status)).toBe(200)
    await nats.kill()
    await expect
      .poll(() => alone.call('GET', '/api/v1/health', { as: null }), { timeout: 15_000 })
      .toMatchObject({
        status: 503,
        body: { status: 'degraded', error: 'degraded', components: { nats: { status: 'error' } } },
      })
    await expect
      .poll(() => alone.call('GET', '/api/v1/ready', { as: null }), { timeout: 20_000 })
      .toMatchObject({ status: 503, body: { ready: false, error: 'not ready' } })
    await nats.restart()
    await expect
      .poll(() => alone.call('GET', '/api/v1/ready', { as: null }), { timeout: 20_000 })
      .toMatchObject({ status: 200, body: { ready: true } })
  } finally {
    await alone.close()
    await nats.stop()
  }
}, 60_000)
