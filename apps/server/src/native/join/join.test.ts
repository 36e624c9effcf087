import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({ movableClock: true })
})
afterAll(() => world.close())

const invite = (body: object = {}) =>
  world.call('POST', '/wheelhouse/api/v1/agents/join-tokens', { body, as: world.a.keys.operator })
const join = (token: string, name?: string) =>
  world.call('POST', '/wheelhouse/api/v1/agents/join', {
    as: null,
    body: { token, ...(name === undefined ? {} : { name }) },
  })

test('a host joins with the line that an operator was given, once', async () => {
  const invited = await invite({ labels: { env: 'test' } })
  expect(invited).toMatchObject({ status: 201 })
  expect(invited.body.line).toBe(`wheelhouse agent join --url ${world.url} --token ${invited.body.token}`)
  const joined = await join(invited.body.token, 'edge-1')
  expect(joined).toMatchObject({ status: 201, body: { name: 'edge-1', tenantId: world.a.id, url: world.url } })
  const principal = await world.principal(joined.body.token)
  expect(principal).toMatchObject({ ownerId: joined.body.agentId, roles: ['system-agent'], tenantId: world.a.id })
  expect(await join(invited.body.token, 'edge-2')).toMatchObject({ status: 401 })
  await world.kernel.events.settled(world.a.id)
})

test('the token’s own name wins, and it ends within its time', async () => {
  const named = await invite({ name: 'db-1', expiresInMinutes: 5 })
  expect(named.body.line).toMatch(/ --name db-1$/)
  expect(await join(named.body.token, 'other')).toMatchObject({ body: { name: 'db-1' } })
  const late = await invite({ expiresInMinutes: 5 })
  world.clock?.advance(5 * 60_000 + 1)
  expect(await join(late.body.token)).toMatchObject({ status: 401, body: { code: 'AUTH_TOKEN_EXPIRED' } })
})

test('only operators invite, and nobody joins with anything else', async () => {
  expect(
    await world.call('POST', '/wheelhouse/api/v1/agents/join-tokens', { body: {}, as: world.a.keys.developer }),
  ).toMatchObject({ status: 403 })
  expect(await join(world.a.keys.admin)).toMatchObject({ status: 401 })
})
