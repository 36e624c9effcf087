import { Fault, type Rate, type RateClass, RATES } from '@wheelhouse/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'
import { testClock } from '../clock/index.ts'
import { LimitFault, openLimits } from './limits.ts'

const classes = (Object.entries(RATES) as [RateClass, Rate][]).filter(([, rate]) => rate.limit !== Infinity)

/** How often one caller may ask before the refusal, without time going by between. */
const atOnce = ({ limit, burst }: Rate): number => burst ?? limit

const facts = (n: number) => ({ ip: `192.0.2.${n}`, principalId: `principal-${n}`, tenantId: `tenant-${n}` })

async function refusalOf(work: Promise<unknown>): Promise<LimitFault> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof LimitFault)) throw new Error(`Not refused: ${String(error)}`)
  return error
}

describe('at scale 1', () => {
  test.each(classes)('%s refuses the request after its budget, and that caller alone', async (name, rate) => {
    const clock = testClock()
    const limits = openLimits(clock, 1)
    for (let i = 0; i < atOnce(rate); i++) await limits.take(name, facts(1))
    const refused = await refusalOf(limits.take(name, facts(1)))
    expect(refused).toMatchObject({ code: 'RATE_LIMIT_EXCEEDED', status: 429, details: { limit: rate.limit } })
    expect(refused.retryAfterMs).toBeGreaterThanOrEqual(1000)
    expect(Object.keys(refused.headers).includes('X-RateLimit-Limit')).toBe(rate.headers === true)
    await expect(limits.take(name, facts(2))).resolves.toBeDefined()
  })

  test.each(classes.filter(([, rate]) => rate.burst !== undefined))(
    '%s fills its bucket again with time',
    async (name, rate) => {
      const clock = testClock()
      const limits = openLimits(clock, 1)
      for (let i = 0; i < atOnce(rate); i++) await limits.take(name, facts(1))
      await refusalOf(limits.take(name, facts(1)))
      clock.advance(Math.ceil(rate.windowMs / rate.limit))
      await limits.take(name, facts(1))
      await refusalOf(limits.take(name, facts(1)))
    },
  )

  test.each(classes.filter(([, rate]) => rate.burst !== undefined && rate.windowMs > 1000))(
    '%s has its documented sum beside the bucket',
    async (name, rate) => {
      const clock = testClock()
      const limits = openLimits(clock, 1)
      for (let i = 0; i < rate.limit; i++) {
        clock.advance(Math.ceil(rate.windowMs / rate.limit))
        await limits.take(name, facts(1))
      }
      clock.advance(rate.windowMs)
      expect((await refusalOf(limits.take(name, facts(1)))).headers['X-RateLimit-Remaining']).toBe('0')
    },
  )

  test.each(classes)('%s counts by what its declaration says', async (name, rate) => {
    const limits = openLimits(testClock(), 1)
    const own = facts(1)
    const other = facts(2)
    const same = {
      ip: { ...other, ip: own.ip },
      principal: { ...other, principalId: own.principalId },
      tenant: { ...other, tenantId: own.tenantId },
    }
    for (let i = 0; i < atOnce(rate); i++) await limits.take(name, own)
    await refusalOf(limits.take(name, same[rate.by]))
  })
})

test('the scale multiplies every budget', async () => {
  const limits = openLimits(testClock(), 3)
  for (let i = 0; i < 60; i++) await limits.take('platform-auth', facts(1))
  expect((await refusalOf(limits.take('platform-auth', facts(1)))).details).toMatchObject({ limit: 60 })
})

test('what is not limited is never refused', async () => {
  const limits = openLimits(testClock(), 1)
  for (let i = 0; i < 5000; i++) expect(await limits.take('none', facts(1))).toEqual({})
})

describe('over HTTP', () => {
  let world: World
  beforeAll(async () => {
    world = await openWorld({ rateScale: 1, config: (config) => void (config.trustedProxies = ['127.0.0.1']) })
  })
  afterAll(() => world.close())

  const from = (ip: string) => ({ 'x-forwarded-for': ip })

  test('the platform’s two classes count apart, by address, before anybody is asked who they are', async () => {
    const ask = (path: string, ip: string) => world.call('GET', path, { as: null, headers: from(ip) })
    for (let i = 0; i < 20; i++) expect((await ask('/api/v1/usertoken', '198.51.100.1')).status).toBe(401)
    const refused = await ask('/api/v1/usertoken', '198.51.100.1')
    expect(refused).toMatchObject({ status: 429, body: { error: 'Too many requests' } })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect((await ask('/api/v1/userinfo', '198.51.100.1')).status).toBe(401)
    expect((await ask('/api/v1/usertoken', '198.51.100.2')).status).toBe(401)
    for (let i = 0; i < 100; i++) expect((await ask('/api/v1/ping', '198.51.100.1')).status).toBe(200)
  })

  test('classes with headers tell what is left; a principal’s count follows it over addresses', async () => {
    const ask = (ip: string) => world.call('GET', '/wheelhouse/api/v1/session', { headers: from(ip) })
    const first = await ask('198.51.100.3')
    const second = await ask('198.51.100.4')
    expect(first.headers.get('x-ratelimit-limit')).toBe('1200')
    expect(Number(second.headers.get('x-ratelimit-remaining'))).toBe(
      Number(first.headers.get('x-ratelimit-remaining')) - 1,
    )
    expect(Number(second.headers.get('x-ratelimit-reset'))).toBeGreaterThan(Date.now() / 1000)
  })
})

test('a refusal is a Fault like any other', () => {
  expect(new LimitFault(RATES['fleet-strict'], 10, 1500, {})).toBeInstanceOf(Fault)
})
