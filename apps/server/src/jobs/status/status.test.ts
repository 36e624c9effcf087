import { create } from '@bufbuild/protobuf'
import { HeartbeatSchema } from '@wheelhouse/contract/proto/cap_pb'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

test('shows process, bus and store, and where the bus is only to administrators', async () => {
  const { status, body } = await world.call('GET', '/api/v1/status')
  expect(status).toBe(200)
  expect(body).toEqual({
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    uptime_seconds: expect.any(Number),
    build: { version: expect.stringMatching(/^\d+\.\d+\.\d+/), commit: '', date: '' },
    nats: { connected: true, status: 'CONNECTED', url: expect.stringMatching(/^nats:|^ws/) },
    redis: { ok: true, error: '' },
    workers: { count: 0 },
  })
  expect((await world.call('GET', '/api/v1/status', { as: world.a.keys.viewer })).body.nats.url).toBe('')
  expect(await world.call('GET', '/jobs/api/v1/status', { as: null })).toMatchObject({
    status: 401,
    body: { error: 'unauthorized', status: 401 },
  })
})

test('counts the live workers of the caller’s tenant alone', async () => {
  const beat = create(HeartbeatSchema, { workerId: 'w-1', pool: 'default', maxParallelJobs: 4 })
  world.kernel.jobs.workers.heard(world.a.id, 'account-of-a', beat)
  expect((await world.call('GET', '/api/v1/status')).body.workers).toEqual({ count: 1 })
  expect((await world.call('GET', '/api/v1/status', { as: world.b.keys.viewer })).body.workers).toEqual({ count: 0 })
})
