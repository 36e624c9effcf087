import { JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { Worker } from '@wheelhouse/sdk/worker'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sql } from '../../kernel/db/index.ts'
import { capWorker } from '../../testing/cap-worker.ts'
import { startRedis, type TestRedis } from '../../testing/redis.ts'
import { openWorld, type World } from '../../testing/world.ts'

let server: TestRedis
let redis: Redis
let world: World

beforeAll(async () => {
  server = await startRedis()
  redis = server.redis
  world = await openWorld({
    config(config) {
      config.redisUrl = server.url
      config.redisPointersTenant = 'shared'
    },
  })
  // The tenants of a world have names of their own.
  await world.kernel.db.auth((tx) => tx.run(sql`update tenants set slug = 'shared' where id = ${world.a.id}`))
})
afterAll(async () => {
  await world.close()
  await server.stop()
})

const submit = async (topic: string, as = world.a.keys.admin): Promise<string> =>
  (await world.call('POST', '/api/v1/jobs', { as, body: { prompt: 'hello', topic } })).body.job_id
const job = (id: string, as = world.a.keys.admin) =>
  world.call('GET', `/api/v1/jobs/${id}`, { as }).then(({ body }) => body)

test('a worker of the reference finds the context in Redis and leaves the result there', async () => {
  const worker = await capWorker(world, world.a, {
    id: 'reference',
    topics: ['job.redis'],
    async work(request) {
      const key = request.contextPtr.slice('redis://'.length)
      const context = JSON.parse((await redis.get(key)) ?? 'null') as { prompt: string }
      await redis.set(`res:${request.jobId}`, JSON.stringify({ said: context.prompt }))
      return { status: JobStatus.SUCCEEDED, resultPtr: `redis://res:${request.jobId}` }
    },
  })
  try {
    worker.heartbeat({ capabilities: ['job.redis'] })
    const id = await submit('job.redis')
    await expect.poll(async () => (await job(id)).state).toBe('SUCCEEDED')
    expect((await job(id)).result).toEqual({ said: 'hello' })
    expect(await redis.ttl(`ctx:${id}`)).toBeGreaterThan(86_000)
    // It was taken over: what Redis forgets stays.
    await redis.del(`res:${id}`)
    expect((await job(id)).result).toEqual({ said: 'hello' })
  } finally {
    await worker.close()
  }
})

test('the SDK goes by Redis when it is given one', async () => {
  const { token, close } = await capWorker(world, world.a, { id: 'sdk-key' })
  await close()
  const worker = new Worker({ url: world.url, credentials: token, redisUrl: server.url, onError: () => undefined })
  worker.handle('job.redis.sdk', ({ input }) => ({ prompt: input.prompt }))
  await worker.start()
  try {
    const id = await submit('job.redis.sdk')
    await expect.poll(async () => (await job(id)).state).toBe('SUCCEEDED')
    expect((await job(id)).result).toEqual({ prompt: 'hello' })
    expect(await redis.get(`res:${id}`)).toBe('{"prompt":"hello"}')
  } finally {
    await worker.stop({ timeoutMs: 0 })
  }
})

test('memories of Redis are shown in the wrapper of the document, to the one tenant alone', async () => {
  await redis.rpush('mem:m:log', '{"role":"user"}', 'plain')
  await redis.sadd('mem:m:set', 'b', 'a')
  await redis.hset('mem:m:hash', { n: '1', t: 'text' })
  await redis.zadd('mem:m:sorted', 1, 'x')
  const read = (key: string, as = world.a.keys.admin) => world.call('GET', `/api/v1/memory?key=${key}`, { as })
  expect((await read('mem:m:log')).body.json).toEqual({
    redis_type: 'list',
    length: 2,
    items: [{ role: 'user' }, 'plain'],
  })
  expect((await read('mem:m:set')).body.json).toEqual({ redis_type: 'set', length: 2, items: ['a', 'b'] })
  expect((await read('mem:m:hash')).body.json).toEqual({ redis_type: 'hash', length: 2, items: { n: 1, t: 'text' } })
  expect(await read('mem:m:sorted')).toMatchObject({ status: 400, body: { error: 'unsupported redis key type: zset' } })
  expect((await read('mem:m:log', world.b.keys.admin)).status).toBe(404)
})

test('another tenant’s contexts never go there', async () => {
  const worker = await capWorker(world, world.b, { id: 'other', topics: ['job.other'], work: () => ({}) })
  try {
    worker.heartbeat({ capabilities: ['job.other'] })
    const id = await submit('job.other', world.b.keys.admin)
    await expect.poll(async () => (await job(id, world.b.keys.admin)).state).toBe('SUCCEEDED')
    expect(await redis.exists(`ctx:${id}`)).toBe(0)
  } finally {
    await worker.close()
  }
})
