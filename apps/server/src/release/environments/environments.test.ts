import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sql } from '../../kernel/db/index.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const path = '/api/v1/environments'
let order = 0
const create = async (over: object = {}) => {
  order += 1
  const body = { name: `env-${order}`, displayName: `Environment ${order}`, orderIndex: order * 10, ...over }
  return world.call('POST', path, { body })
}
const outbox = (kind: 'event' | 'audit') =>
  world.kernel.db.tenant(world.a.id, (tx) =>
    tx.many<{ body: Record<string, unknown> }>(
      kind === 'event'
        ? sql`select body from outbox where kind = 'event' union all select body from events`
        : sql`select body from outbox where kind = 'audit' union all select body from audit`,
    ),
  )
const published = async (type: string, id: string): Promise<number> => {
  const rows = await outbox('event')
  const of = (body: Record<string, unknown>) => (body['resource'] as { id: string } | undefined)?.id
  return rows.filter(({ body }) => body['type'] === type && of(body) === id).length
}

describe('creation', () => {
  test('fills the documented defaults in and answers 201 with the version as ETag', async () => {
    const made = await create({ name: 'defaults' })
    expect(made.status).toBe(201)
    expect(made.headers.get('etag')).toBe('"1"')
    expect(made.body).toMatchObject({
      success: true,
      data: {
        tenantId: world.a.id,
        name: 'defaults',
        config: {
          variables: {},
          secrets: [],
          registryOverrides: [],
          agentLabels: [],
          deploymentTimeout: 600,
          healthCheckInterval: 30,
          healthCheckConfig: { type: 'docker', timeout: 30, retries: 3, interval: 10 },
        },
        requiredApprovals: 0,
        requireSeparationOfDuties: false,
        promotionPolicy: 'default',
        autoPromoteFrom: null,
        freezeWindows: [],
        version: 1,
      },
      meta: { requestId: made.headers.get('x-request-id') },
    })
    expect(await published('environment.created', made.body.data.id)).toBe(1)
  })

  test('takes either name of separation of duties, and refuses a contradiction', async () => {
    expect((await create({ requireSod: true })).body.data.requireSeparationOfDuties).toBe(true)
    expect((await create({ requireSeparationOfDuties: true })).body.data.requireSeparationOfDuties).toBe(true)
    expect(await create({ requireSod: true, requireSeparationOfDuties: false })).toMatchObject({
      status: 400,
      body: { error: { code: 'VAL_SCHEMA', validationErrors: [{ field: 'requireSod' }] } },
    })
  })

  test('reports all violations of one body together, ordered by field', async () => {
    const refused = await world.call('POST', path, {
      body: { name: 'Bad Name', orderIndex: -1, config: { deploymentTimeout: 5, nonsense: 1 }, requiredApprovals: 11 },
    })
    expect(refused.status).toBe(400)
    expect(refused.body.error.code).toBe('VAL_SCHEMA')
    expect(
      refused.body.error.validationErrors.map(({ field, code }: { field: string; code: string }) => [field, code]),
    ).toEqual([
      ['config.deploymentTimeout', 'min'],
      ['config.nonsense', 'unknown'],
      ['displayName', 'required'],
      ['name', 'pattern'],
      ['orderIndex', 'min'],
      ['requiredApprovals', 'max'],
    ])
    expect((await world.call('POST', path, { body: {} })).body.error.code).toBe('VAL_REQUIRED')
    expect((await create({ colour: 'red' })).body.error).toMatchObject({
      code: 'VAL_UNKNOWN_FIELD',
      validationErrors: [{ field: 'colour', code: 'unknown' }],
    })
  })

  test('refuses a taken name and a taken place in the order', async () => {
    const made = await create({ name: 'taken' })
    expect(await create({ name: 'taken' })).toMatchObject({
      status: 409,
      body: { error: { code: 'RES_DUPLICATE_NAME' } },
    })
    expect(await create({ orderIndex: made.body.data.orderIndex })).toMatchObject({
      status: 409,
      body: { error: { code: 'ENV_ORDER_CONFLICT' } },
    })
  })

  test('refuses a workflow template and a time zone that do not exist', async () => {
    const refused = await create({
      workflowTemplateId: world.a.id,
      config: { deploymentWindows: [{ days: [1], start: '09:00', end: '17:00', timezone: 'Mars/Base' }] },
    })
    expect(refused).toMatchObject({
      status: 400,
      body: {
        error: {
          validationErrors: [
            { field: 'config.deploymentWindows[0].timezone', code: 'format' },
            { field: 'workflowTemplateId', code: 'reference' },
          ],
        },
      },
    })
  })

  test('runs once under one idempotency key, and refuses the key for another body', async () => {
    const body = { name: 'once', displayName: 'Once', orderIndex: 900_001 }
    const headers = { 'idempotency-key': 'environment-once' }
    const first = await world.call('POST', path, { body, headers })
    const again = await world.call('POST', path, { body, headers })
    expect(again.headers.get('idempotent-replay')).toBe('true')
    expect(again.headers.get('etag')).toBe('"1"')
    expect(again.body).toEqual(first.body)
    expect(await world.call('POST', path, { body: { ...body, name: 'twice' }, headers })).toMatchObject({
      status: 409,
      body: { error: { code: 'RES_IDEMPOTENCY_CONFLICT' } },
    })
  })
})

describe('production', () => {
  test('is what is highest in order or named prod, until somebody says otherwise', async () => {
    const call = (method: string, route: string, body?: unknown) =>
      world.call(method, route, { as: world.b.keys.admin, body })
    const make = async (name: string, orderIndex: number, rest: object = {}) =>
      (await call('POST', path, { name, displayName: name, orderIndex, ...rest })).body.data
    const isProduction = async (id: string) => (await call('GET', `${path}/${id}`)).body.data.isProduction
    const dev = await make('dev', 0)
    expect(dev.isProduction).toBe(true)
    const live = await make('live', 5)
    expect([live.isProduction, await isProduction(dev.id)]).toEqual([true, false])
    const kept = await make('kept', 6, { isProduction: true })
    const last = await make('last', 7, { isProduction: false })
    expect([await isProduction(live.id), kept.isProduction, last.isProduction]).toEqual([false, true, false])
    const named = await make('prod-eu', 2)
    expect(named.isProduction).toBe(true)
    const back = await call('PUT', `${path}/${last.id}`, { isProduction: null })
    expect(back.body.data.isProduction).toBe(true)
    await call('DELETE', `${path}/${last.id}`)
    expect(await isProduction(kept.id)).toBe(true)
  })
})

describe('change', () => {
  test('keeps what is absent, clears what is null, and counts the version up', async () => {
    const made = (
      await create({ config: { variables: { A: '1' }, releaseMode: 'unverified', deploymentTimeout: 900 } })
    ).body.data
    const changed = await world.call('PUT', `${path}/${made.id}`, {
      body: { displayName: 'Renamed', promotionPolicy: null, config: { releaseMode: null, agentLabels: ['zone=a'] } },
      headers: { 'if-match': '"1"' },
    })
    expect(changed.status).toBe(200)
    expect(changed.headers.get('etag')).toBe('"2"')
    expect(changed.body.data).toMatchObject({
      displayName: 'Renamed',
      name: made.name,
      promotionPolicy: null,
      config: { variables: { A: '1' }, deploymentTimeout: 900, agentLabels: ['zone=a'] },
      version: 2,
    })
    expect(changed.body.data.config).not.toHaveProperty('releaseMode')
    expect(await published('environment.updated', made.id)).toBe(1)
    const trail = await outbox('audit')
    const row = trail.find(({ body }) => body['verb'] === 'environment.update' && body['resourceId'] === made.id)
    expect(row?.body).toMatchObject({
      environmentId: made.id,
      before: { displayName: made.displayName },
      after: { displayName: 'Renamed' },
    })
  })

  test('refuses a change that was thought of for another version', async () => {
    const { id } = (await create()).body.data
    const put = (ifMatch: string) =>
      world.call('PUT', `${path}/${id}`, { body: { displayName: 'x' }, headers: { 'if-match': ifMatch } })
    expect(await put('"7"')).toMatchObject({ status: 409, body: { error: { code: 'RES_VERSION_CONFLICT' } } })
    expect((await put('*')).status).toBe(200)
    expect((await put('"1", "2"')).status).toBe(200)
  })

  test('of two changes for the same version one is refused', async () => {
    const { id } = (await create()).body.data
    const both = await Promise.all(
      ['x', 'y'].map((displayName) =>
        world.call('PUT', `${path}/${id}`, { body: { displayName }, headers: { 'if-match': '"1"' } }),
      ),
    )
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409])
  })
})

describe('automatic promotion', () => {
  test('comes from an existing environment that is lower in order', async () => {
    const low = (await create()).body.data
    const high = (await create({ autoPromoteFrom: low.id })).body.data
    expect(high.autoPromoteFrom).toBe(low.id)
    const refused = { status: 422, body: { error: { code: 'ENV_INVALID_AUTO_PROMOTE' } } }
    expect(await create({ autoPromoteFrom: world.a.id })).toMatchObject(refused)
    const put = (id: string, body: object) => world.call('PUT', `${path}/${id}`, { body })
    expect(await put(low.id, { autoPromoteFrom: low.id })).toMatchObject(refused)
    expect(await put(low.id, { autoPromoteFrom: high.id })).toMatchObject(refused)
    expect(await put(low.id, { orderIndex: high.orderIndex + 5 })).toMatchObject(refused)
    expect(await put(high.id, { orderIndex: low.orderIndex - 5 })).toMatchObject(refused)
    expect(await world.call('DELETE', `${path}/${low.id}`)).toMatchObject({
      status: 409,
      body: { error: { code: 'ENV_REFERENCED' } },
    })
    expect((await put(high.id, { autoPromoteFrom: null })).status).toBe(200)
    expect((await world.call('DELETE', `${path}/${low.id}`)).body.data).toEqual({ deleted: true })
  })
})

describe('deletion', () => {
  test('answers its data, or nothing to whoever prefers so, and frees the name', async () => {
    const { id } = (await create({ name: 'gone' })).body.data
    const deleted = await world.call('DELETE', `${path}/${id}`, { headers: { prefer: 'return=minimal' } })
    expect([deleted.status, deleted.body]).toEqual([204, null])
    expect((await world.call('GET', `${path}/${id}`)).status).toBe(404)
    expect((await world.call('DELETE', `${path}/${id}`)).status).toBe(404)
    expect((await create({ name: 'gone' })).status).toBe(201)
    expect(await published('environment.deleted', id)).toBe(1)
  })

  test('is refused while targets stand in it', async () => {
    const { id } = (await create()).body.data
    await world.call('POST', '/api/v1/targets', {
      body: { environmentId: id, name: 'here', type: 'memory', connection: {} },
    })
    expect(await world.call('DELETE', `${path}/${id}`)).toMatchObject({
      status: 409,
      body: { error: { code: 'ENV_HAS_TARGETS', details: { targetCount: 1 } } },
    })
    expect((await world.call('GET', `${path}/${id}`)).body.data).toMatchObject({
      targetCount: 1,
      currentRelease: null,
      lastDeploymentJobId: null,
    })
  })
})

describe('lists', () => {
  test('come in promotion order, page by page', async () => {
    const all = await world.call('GET', `${path}?pageSize=100`)
    const indexes = all.body.data.map(({ orderIndex }: { orderIndex: number }) => orderIndex)
    expect(indexes).toEqual([...indexes].sort((x: number, y: number) => x - y))
    expect(all.body.data[0]).not.toHaveProperty('currentRelease')
    const total = all.body.meta.pagination.totalItems
    const second = await world.call('GET', `${path}?pageSize=3&page=2&includeState=true`)
    expect(second.body.data.map(({ id }: { id: string }) => id)).toEqual(
      all.body.data.slice(3, 6).map(({ id }: { id: string }) => id),
    )
    expect(second.body.data[0].currentRelease).toBeNull()
    expect(second.body.meta.pagination).toEqual({
      page: 2,
      pageSize: 3,
      totalItems: total,
      totalPages: Math.ceil(total / 3),
      hasNext: true,
      hasPrevious: true,
    })
    expect((await world.call('GET', `${path}?page=500`)).body).toMatchObject({
      data: [],
      meta: { pagination: { hasNext: false, hasPrevious: true, totalItems: total } },
    })
  })

  test.each(['page=0', 'pageSize=0', 'pageSize=101', 'page=1.5', 'pageSize=ten', 'page=1e1'])(
    'refuse %s',
    async (query) => {
      expect(await world.call('GET', `${path}?${query}`)).toMatchObject({
        status: 400,
        body: { error: { code: 'VAL_INVALID_PAGINATION' } },
      })
    },
  )

  test.each(['nothing', 'config', 'id', 'name,displayName,orderIndex,isProduction', 'constructor', '__proto__'])(
    'cannot be sorted by %s',
    async (sort) => {
      expect(await world.call('GET', `${path}?sort=${sort}`)).toMatchObject({
        status: 400,
        body: { error: { code: 'VAL_INVALID_SORT' } },
      })
    },
  )
})

test('a wrong method on a known path is told the right ones, in the envelope', async () => {
  const refused = await world.call('PATCH', `${path}/${world.a.id}`, { body: {} })
  expect(refused).toMatchObject({ status: 405, body: { success: false, error: { code: 'RES_METHOD_NOT_ALLOWED' } } })
  expect(refused.headers.get('allow')?.split(', ').sort()).toEqual(['DELETE', 'GET', 'PUT'])
})

test('what is no uuid is not found, and another tenant’s environment neither', async () => {
  const { id } = (await create()).body.data
  for (const [wanted, as] of [
    ['not-a-uuid', world.a.keys.admin],
    ['%00', world.a.keys.admin],
    [id, world.b.keys.admin],
  ] as const)
    expect(await world.call('GET', `${path}/${wanted}`, { as })).toMatchObject({
      status: 404,
      body: { error: { code: 'RES_NOT_FOUND' } },
    })
})
