import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startRedis, type TestRedis } from '../../testing/redis.ts'
import { systemClock } from '../clock/index.ts'
import { LimitFault, openLimits } from './limits.ts'

let server: TestRedis

beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())

test('replicas that share a Redis share a budget, and count for themselves while it is away', async () => {
  const facts = { ip: '127.0.0.9', principalId: 'p' }
  const { redis } = server
  const [one, two] = [openLimits(systemClock, 1, { redis }), openLimits(systemClock, 1, { redis })]
  for (let n = 0; n < 5; n++) await Promise.all([one.take('fleet-strict', facts), two.take('fleet-strict', facts)])
  await expect(one.take('fleet-strict', facts)).rejects.toBeInstanceOf(LimitFault)
  await expect(two.take('fleet-strict', facts)).rejects.toBeInstanceOf(LimitFault)

  const away = new Redis({
    host: '127.0.0.1',
    port: 1,
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    retryStrategy: () => null,
  })
  away.on('error', () => undefined)
  const alone = openLimits(systemClock, 1, { redis: away })
  await expect(alone.take('fleet-strict', facts)).resolves.toMatchObject({ 'X-RateLimit-Remaining': '9' })
})

test('the installation’s own budget of the jobs surface replaces the documented one', async () => {
  const limits = openLimits(systemClock, 1, { rates: { 'jobs-tenant': { limit: 1, burst: 2 } } })
  const facts = { ip: '127.0.0.1', tenantId: 't' }
  await limits.take('jobs-tenant', facts)
  await limits.take('jobs-tenant', facts)
  await expect(limits.take('jobs-tenant', facts)).rejects.toBeInstanceOf(LimitFault)
})
