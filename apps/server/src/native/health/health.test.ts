import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

test('says that it lives and is ready, with the documented headers', async () => {
  const live = await world.call('GET', '/livez', { as: null })
  expect(live).toMatchObject({ status: 200, body: { status: 'ok' } })
  expect(live.headers.get('x-content-type-options')).toBe('nosniff')
  expect(live.headers.get('x-frame-options')).toBe('DENY')
  await expect
    .poll(() => world.call('GET', '/readyz', { as: null }))
    .toMatchObject({ status: 200, body: { ready: true, reasons: [] } })
})

test('answers an unknown route and an unknown method in the manner of the surface', async () => {
  expect(await world.call('GET', '/api/v1/nothing', { as: null })).toMatchObject({
    status: 404,
    body: { error: 'Not Found', statusCode: 404, message: 'No route for GET /api/v1/nothing' },
  })
  expect(await world.call('GET', '/release/api/v1/nothing', { as: null })).toMatchObject({
    status: 404,
    body: { success: false, error: { code: 'RES_ROUTE_NOT_FOUND' } },
  })
  expect(await world.call('GET', '/platform/api/v1/nothing', { as: null })).toMatchObject({
    status: 404,
    body: { error: 'Not found' },
  })
})
