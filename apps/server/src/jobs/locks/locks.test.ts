import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'
import { lockTask } from '../../kernel/locks/index.ts'
import { sql } from '../../kernel/db/index.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({ movableClock: true })
})
afterAll(() => world.close())

const post = (verb: string, body: unknown, as = world.a.keys.operator) =>
  world.call('POST', `/api/v1/locks/${verb}`, { as, body })
const acquire = (resource: string, owner: string, more: object = {}) => post('acquire', { resource, owner, ...more })

test('an exclusive lock has one owner, who may take it again and must release it as often', async () => {
  const first = await acquire('deploy', 'w1')
  expect(first).toMatchObject({
    status: 200,
    body: { resource: 'deploy', mode: 'exclusive', owners: { w1: 1 }, owner: 'w1', ttl_ms: 30_000 },
  })
  expect(await acquire('deploy', 'w2')).toMatchObject({ status: 409, body: { error: 'lock unavailable' } })
  const again = await acquire('deploy', 'w1', { mode: 'shared' })
  expect(again.body).toMatchObject({ mode: 'exclusive', owners: { w1: 2 }, token: first.body.token })
  expect((await post('release', { resource: 'deploy', owner: 'w1' })).body).toMatchObject({
    lock: { owners: { w1: 1 } },
    released: true,
  })
  expect((await post('release', { resource: 'deploy', owner: 'w1' })).body).toEqual({ lock: null, released: true })
  const next = await acquire('deploy', 'w2')
  expect(next.body.token).toBeGreaterThan(first.body.token)
})

test('a shared lock is joined, and its only owner may make it exclusive under a new token', async () => {
  const one = await acquire('read', 'w1', { mode: 'shared' })
  const two = await acquire('read', 'w2', { mode: 'shared' })
  expect(two.body).toMatchObject({ mode: 'shared', owners: { w1: 1, w2: 1 }, token: one.body.token })
  expect((await acquire('read', 'w1')).status).toBe(409)
  await post('release', { resource: 'read', owner: 'w2' })
  const upgraded = await acquire('read', 'w1')
  expect(upgraded.body).toMatchObject({ mode: 'exclusive', owners: { w1: 2 } })
  expect(upgraded.body.token).toBeGreaterThan(one.body.token)
  expect((await acquire('read', 'w3', { mode: 'shared' })).status).toBe(409)
})

test('expiry frees a lock for everybody, and the late holder can neither renew nor release it', async () => {
  const first = await acquire('slow', 'w1', { ttl_ms: 5000 })
  world.clock?.advance(5001)
  expect((await world.call('GET', '/api/v1/locks?resource=slow')).body).toMatchObject({ error: 'lock not found' })
  expect((await post('renew', { resource: 'slow', owner: 'w1' })).body).toMatchObject({
    error: 'lock not held',
    status: 404,
  })
  const second = await acquire('slow', 'w2')
  expect(second.body.token).toBeGreaterThan(first.body.token)
  expect((await post('renew', { resource: 'slow', owner: 'w1' })).status).toBe(409)
  expect(await post('release', { resource: 'slow', owner: 'w1' })).toMatchObject({
    status: 409,
    body: { error: 'lock not held' },
  })
  expect((await post('release', { resource: 'never', owner: 'w1' })).body).toEqual({ lock: null, released: true })
})

test('renewing sets the time that is left, also to less', async () => {
  await acquire('r', 'w1', { ttl_ms: 60_000 })
  expect((await post('renew', { resource: 'r', owner: 'w1', ttl_ms: 1000 })).body.ttl_ms).toBe(1000)
  expect((await post('renew', { resource: 'r', owner: 'w1' })).body.ttl_ms).toBe(30_000)
})

test('what is missing is said in the documented words', async () => {
  expect((await world.call('GET', '/api/v1/locks')).body).toMatchObject({ error: 'resource required', status: 400 })
  expect((await acquire('', 'w1')).body).toMatchObject({ error: 'resource and owner required', status: 400 })
  expect((await acquire('x', 'w1', { mode: 'none' })).status).toBe(400)
  expect((await post('acquire', { resource: 'x', owner: 'y' }, world.a.keys.viewer)).status).toBe(403)
})

test('names are the tenant’s own', async () => {
  const mine = await acquire('same', 'w1')
  const theirs = await post('acquire', { resource: 'same', owner: 'w2' }, world.b.keys.operator)
  expect([mine.status, theirs.status]).toEqual([200, 200])
})

test('the list shows what is held, filtered and in pages', async () => {
  await acquire('list/1', 'w1')
  await acquire('list/2', 'w1', { mode: 'shared' })
  const all = await world.call('GET', '/wheelhouse/api/v1/locks?pageSize=1&sort=resource')
  expect(all.body.items).toHaveLength(1)
  expect(all.body.next).toEqual(expect.any(String))
  const shared = await world.call('GET', `/wheelhouse/api/v1/locks?filter=${encodeURIComponent('{"mode":"shared"}')}`)
  expect(shared.body.items.map(({ resource }: { resource: string }) => resource)).toContain('list/2')
})

test('of many who want one free lock at once exactly one gets it', async () => {
  const tries = await Promise.all(Array.from({ length: 12 }, (_, i) => acquire('race', `w${i}`)))
  expect(tries.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(tries.filter(({ status }) => status === 409)).toHaveLength(11)
})

test('the sweep removes rows whose time is over', async () => {
  await acquire('gone', 'w1', { ttl_ms: 1 })
  world.clock?.advance(10)
  await lockTask(world.kernel.db, world.kernel.clock).run(new AbortController().signal)
  const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
    tx.many(sql`select 1 from locks where resource = 'gone'`),
  )
  expect(rows).toHaveLength(0)
})
