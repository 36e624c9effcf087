import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createKey, createUser } from '../../kernel/identity/index.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const act = (id: string, what: 'freeze' | 'thaw', as = world.a.keys.admin) =>
  world.call('POST', `/wheelhouse/api/v1/principals/${id}/${what}`, { as, body: {} })

async function user(name: string, role: string): Promise<{ id: string; key: string }> {
  const { kernel, a } = world
  return kernel.db.auth(async (tx) => {
    const made = await createUser(tx, kernel.clock.now(), { tenantId: a.id, username: name, role })
    const { token } = await createKey(tx, kernel.clock.now(), { tenantId: a.id, ownerId: made.id, name: 'k' })
    return { id: made.id, key: token }
  })
}

test('freezing ends open streams and sockets, not only the next request', async () => {
  const { id, key } = await user('streamer', 'operator')
  const stream = await fetch(`${world.url}/wheelhouse/api/v1/events/stream`, {
    headers: { authorization: `Bearer ${key}` },
  })
  expect(stream.status).toBe(200)
  const socket = new WebSocket(`${world.url.replace('http', 'ws')}/ws`, { headers: { authorization: `Bearer ${key}` } })
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve())
    socket.once('error', reject)
  })
  const closed = new Promise<number>((resolve) => socket.once('close', resolve))
  const started = performance.now()
  expect(await act(id, 'freeze')).toMatchObject({ status: 200, body: { id, state: 'frozen' } })
  const reader = stream.body?.getReader()
  for (;;) {
    const { done } = (await reader?.read()) ?? { done: true }
    if (done) break
  }
  expect(await closed).toBe(1008)
  // Well below the sweep of 10 s: the freeze itself ended them.
  expect(performance.now() - started).toBeLessThan(8000)
  expect(await world.call('GET', '/api/v1/userinfo', { as: key })).toMatchObject({ status: 401 })
  expect(await act(id, 'thaw')).toMatchObject({ status: 200, body: { state: 'active' } })
  expect(await world.call('GET', '/api/v1/userinfo', { as: key })).toMatchObject({ status: 200 })
})

test('a single key is frozen alone', async () => {
  const { key } = await user('two-keys', 'viewer')
  const { keyId = '' } = await world.principal(key)
  expect(await act(keyId, 'freeze')).toMatchObject({ status: 200 })
  await expect.poll(async () => (await world.call('GET', '/api/v1/userinfo', { as: key })).status).toBe(401)
})

test('nobody freezes themselves, who holds more, or who is not theirs', async () => {
  expect(await act(world.a.adminId, 'freeze')).toMatchObject({ status: 409 })
  const boss = await user('boss', 'platform-admin')
  expect(await act(boss.id, 'freeze')).toMatchObject({ status: 403 })
  expect(await act(world.b.adminId, 'freeze')).toMatchObject({ status: 404 })
  expect(await act(boss.id, 'freeze', world.a.keys.operator)).toMatchObject({ status: 403 })
})
