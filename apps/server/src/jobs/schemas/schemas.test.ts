import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const PERSON = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] }
const put = (id: string | undefined, schema: unknown) => world.call('POST', '/api/v1/schemas', { body: { id, schema } })

test('a schema is registered, read with its slash encoded or raw, listed newest first, replaced and deleted', async () => {
  expect(await put('hr/Person', PERSON)).toMatchObject({ status: 204, body: null })
  expect((await put('hr/Team', { type: 'array' })).status).toBe(204)
  for (const path of ['hr/Person', 'hr%2FPerson'])
    expect(await world.call('GET', `/api/v1/schemas/${path}`)).toMatchObject({
      status: 200,
      body: { id: 'hr/Person', schema: PERSON },
    })
  const all = await world.call('GET', '/api/v1/schemas', { as: world.a.keys.viewer })
  expect(all.body.schemas).toEqual(['hr/Team', 'hr/Person'])
  expect(all.body.items[0]).toMatchObject({ id: 'hr/Team', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) })
  expect((await world.call('GET', '/api/v1/schemas?limit=1')).body.schemas).toEqual(['hr/Team'])

  await put('hr/Person', { type: 'string' })
  expect((await world.call('GET', '/api/v1/schemas/hr/Person')).body.schema).toEqual({ type: 'string' })
  for (let again = 0; again < 2; again++)
    expect((await world.call('DELETE', '/api/v1/schemas/hr/Person')).status).toBe(204)
  expect(await world.call('GET', '/api/v1/schemas/hr/Person')).toMatchObject({
    status: 404,
    body: { error: 'schema not found' },
  })
})

test('null within a schema is a value', async () => {
  await put('x/Nothing', { const: null, enum: [null] })
  expect((await world.call('GET', '/api/v1/schemas/x/Nothing')).body.schema).toEqual({ const: null, enum: [null] })
})

test('what does not compile is refused, and says why', async () => {
  expect(await put('x/Bad', { type: 'strin' })).toMatchObject({
    status: 400,
    body: { error: expect.stringContaining('schema does not compile') },
  })
  expect(await put('', PERSON)).toMatchObject({ status: 400, body: { error: 'schema id required' } })
  expect(await put(undefined, PERSON)).toMatchObject({ status: 400, body: { error: 'schema id required' } })
  expect(await put('a b', PERSON)).toMatchObject({ status: 400 })
  expect(await put('x/Missing', undefined)).toMatchObject({ status: 400, body: { error: 'schema required' } })
  expect((await world.call('GET', '/api/v1/schemas/x/Bad')).status).toBe(404)
})

test('a tenant neither sees nor reaches another’s schemas; readers do not write', async () => {
  await put('own/One', PERSON)
  expect((await world.call('GET', '/api/v1/schemas/own/One', { as: world.b.keys.admin })).status).toBe(404)
  await world.call('DELETE', '/api/v1/schemas/own/One', { as: world.b.keys.admin })
  expect((await world.call('GET', '/api/v1/schemas/own/One')).status).toBe(200)
  for (const role of ['viewer', 'user', 'operator'] as const) {
    const denied = await world.call('DELETE', '/api/v1/schemas/own/One', { as: world.a.keys[role] })
    expect(denied.status).toBe(403)
  }
})
