import { declared, openApi } from '@wheelhouse/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

test('shows the platform’s endpoints below /api/v1, administration to administrators alone', async () => {
  const { status, body, headers } = await world.call('GET', '/api/v1/openapi')
  expect(status).toBe(200)
  expect(headers.get('content-type')).toMatch(/^application\/json/)
  expect(body).toMatchObject({ openapi: '3.1.0', info: { title: 'Wheelhouse API' }, servers: [{ url: '/api/v1' }] })
  expect(body.paths['/ping'].get.security).toEqual([])
  expect(body.paths['/keys'].post.tags).toEqual(['API Keys'])
  expect(body.paths).toHaveProperty(['/admin/roles'])
  const viewer = await world.call('GET', '/api/v1/openapi', { as: world.a.keys.viewer })
  expect(Object.keys(viewer.body.paths).filter((path) => path.startsWith('/admin'))).toEqual([])
})

test('is not sent again to whoever has it', async () => {
  const first = await world.call('GET', '/api/v1/openapi')
  const etag = first.headers.get('etag') ?? ''
  expect(etag).toMatch(/^"/)
  const second = await world.call('GET', '/api/v1/openapi', { headers: { 'if-none-match': etag } })
  expect(second).toMatchObject({ status: 304, body: null })
  const other = await world.call('GET', '/api/v1/openapi', {
    as: world.a.keys.viewer,
    headers: { 'if-none-match': etag },
  })
  expect(other.status).toBe(200)
})

test('comes as YAML when asked', async () => {
  const { body, headers } = await world.call('GET', '/api/v1/openapi?format=yaml')
  expect(headers.get('content-type')).toMatch(/yaml/)
  expect(parse(body)).toEqual((await world.call('GET', '/api/v1/openapi')).body)
})

test('of everything has each declared endpoint once, with ids of their own', () => {
  const document = openApi({ title: 'Wheelhouse', version: '1' })
  const operations = Object.values(document.paths).flatMap((item) => Object.values(item)) as { operationId: string }[]
  const expected = declared.reduce((sum, { endpoint }) => sum + (endpoint.method === 'ANY' ? 5 : 1), 0)
  expect(operations.length).toBe(expected)
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(expected)
  for (const { $ref } of refsIn(document)) expect($ref).toMatch(/^#\/components\/schemas\/\w+$/)
})

function refsIn(value: unknown): { $ref: string }[] {
  if (typeof value !== 'object' || value === null) return []
  const own = '$ref' in value && typeof value.$ref === 'string' ? [{ $ref: value.$ref }] : []
  return [...own, ...Object.values(value).flatMap(refsIn)]
}
