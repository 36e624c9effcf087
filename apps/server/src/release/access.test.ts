import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createKey } from '../kernel/identity/index.ts'
import { sql } from '../kernel/db/index.ts'
import { openWorld, type World } from '../testing/world.ts'

let world: World
const environments: Record<string, string> = {}
const targets: Record<string, string> = {}
beforeAll(async () => {
  world = await openWorld()
  for (const [orderIndex, name] of ['dev', 'stage', 'prod'].entries()) {
    const made = await world.call('POST', '/api/v1/environments', { body: { name, displayName: name, orderIndex } })
    environments[name] = made.body.data.id
    const target = { environmentId: environments[name], name: `on-${name}`, type: 'memory', connection: {} }
    targets[name] = (await world.call('POST', '/api/v1/targets', { body: target })).body.data.id
  }
})
afterAll(() => world.close())

const names = (reply: { body: { data: { name: string }[] } }) => reply.body.data.map(({ name }) => name)
const freeze = { start: '2090-01-01T00:00:00Z', end: '2090-01-02T00:00:00Z', reason: 'x' }

/** A token of the administrator that is confined to environments. */
async function confined(...to: string[]): Promise<string> {
  const principal = await world.principal(world.a.keys.admin)
  const { token } = await world.kernel.tokens.issue({ ...principal, envScopes: to }, 60_000)
  return token
}

describe('a token that is confined to environments', () => {
  test('sees and touches those alone', async () => {
    const as = await confined(environments['dev'] ?? '')
    expect(names(await world.call('GET', '/api/v1/environments', { as }))).toEqual(['dev'])
    expect(names(await world.call('GET', '/api/v1/targets', { as }))).toEqual(['on-dev'])
    const dev = `/api/v1/environments/${environments['dev']}`
    expect((await world.call('PUT', dev, { as, body: { displayName: 'Dev' } })).status).toBe(200)
    const outside: [string, string, object?][] = [
      ['GET', `/api/v1/environments/${environments['prod']}`],
      ['PUT', `/api/v1/environments/${environments['prod']}`, {}],
      ['DELETE', `/api/v1/environments/${environments['prod']}`],
      ['POST', `/api/v1/environments/${environments['prod']}/freeze-windows`, freeze],
      ['GET', `/api/v1/environments/${environments['prod']}/freeze-windows`],
      ['GET', `/api/v1/targets/${targets['prod']}`],
      ['PUT', `/api/v1/targets/${targets['prod']}`, {}],
      ['DELETE', `/api/v1/targets/${targets['prod']}`],
      ['POST', `/api/v1/targets/${targets['prod']}/health-check`, {}],
      ['POST', '/api/v1/targets', { environmentId: environments['prod'], name: 'x', type: 'memory', connection: {} }],
      ['POST', '/api/v1/environments', { name: 'new', displayName: 'New', orderIndex: 9 }],
      ['POST', '/api/v1/admin/agent-tokens', { environmentIds: [environments['prod']] }],
    ]
    for (const [method, path, body] of outside)
      expect(await world.call(method, path, { as, ...(body ? { body } : {}) }), `${method} ${path}`).toMatchObject({
        status: 403,
        body: { error: { code: 'PERM_ENVIRONMENT_SCOPE' } },
      })
    const denials = await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.many(sql`
        select 1 from (select body from outbox where kind = 'audit' union all select body from audit) as every
         where body ->> 'outcome' = 'denied' and body -> 'metadata' ->> 'code' = 'PERM_ENVIRONMENT_SCOPE'`),
    )
    expect(denials).toHaveLength(outside.length)
  })

  test('with a star is not confined, and with nothing sees nothing', async () => {
    expect(names(await world.call('GET', '/api/v1/environments', { as: await confined('*') }))).toHaveLength(3)
    expect(names(await world.call('GET', '/api/v1/environments', { as: await confined() }))).toEqual([])
  })
})

describe('a grant for what is not production', () => {
  test('ends at production, in lists silently', async () => {
    const as = await world.kernel.db.auth(async (tx) => {
      const patterns = ['environment:*@non-production', 'target:*@non-production']
      await tx.run(sql`insert into roles (tenant_id, name, patterns) values (${world.a.id}, 'tester', ${patterns})`)
      const { token } = await createKey(tx, world.kernel.clock.now(), {
        tenantId: world.a.id,
        ownerId: world.a.adminId,
        name: 'tester',
        roles: ['tester'],
      })
      return token
    })
    expect(names(await world.call('GET', '/api/v1/environments', { as }))).toEqual(['dev', 'stage'])
    expect(names(await world.call('GET', '/api/v1/targets', { as }))).toEqual(['on-dev', 'on-stage'])
    const put = (name: string) =>
      world.call('PUT', `/api/v1/environments/${environments[name]}`, { as, body: { displayName: name } })
    expect((await put('stage')).status).toBe(200)
    expect(await put('prod')).toMatchObject({
      status: 403,
      body: { error: { code: 'PERM_DENIED', details: { required: 'environment:update' } } },
    })
    expect((await world.call('GET', `/api/v1/targets/${targets['prod']}`, { as })).status).toBe(403)
  })
})

test('a credential that is refused too often costs its address', async () => {
  const strict = await openWorld({ rateScale: 1 })
  try {
    const statuses: number[] = []
    for (let i = 0; i < 62; i++)
      statuses.push((await strict.call('GET', '/release/api/v1/environments', { as: `wh_user_${i}` })).status)
    expect(statuses.slice(0, 60)).toEqual(Array.from({ length: 60 }, () => 401))
    expect(statuses.slice(60)).toEqual([429, 429])
    expect((await strict.call('GET', '/api/v1/environments')).status).toBe(200)
  } finally {
    await strict.close()
  }
})

test('the standard budget counts down and refuses a burst beyond 100', async () => {
  const strict = await openWorld({ rateScale: 1, movableClock: true })
  try {
    const first = await strict.call('GET', '/api/v1/environments')
    expect(first.headers.get('x-ratelimit-limit')).toBe('1000')
    const more = await Promise.all(Array.from({ length: 110 }, () => strict.call('GET', '/api/v1/environments')))
    const refused = more.filter(({ status }) => status === 429)
    expect(refused).toHaveLength(11)
    expect(refused[0]).toMatchObject({
      body: { error: { code: 'RATE_LIMIT_EXCEEDED', details: { limit: 1000, burst: 100 } } },
    })
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(refused[0]?.headers.get('x-ratelimit-remaining')).toBe('900')
  } finally {
    await strict.close()
  }
})
