import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type TestTenant, type World } from '../../testing/world.ts'
import { at, sql } from '../db/index.ts'
import { dropOldVersions } from './version-retention.ts'

const HOUR = 3_600_000
let world: World
beforeAll(async () => {
  world = await openWorld({ movableClock: true })
})
afterAll(() => world.close())

const now = (): number => world.kernel.clock.now()
const inA = <T>(work: Parameters<typeof world.kernel.db.tenant<T>>[1]) => world.kernel.db.tenant(world.a.id, work)
const sweep = (keep: number) => dropOldVersions(world.kernel.db, now(), keep, new AbortController().signal)

async function save(id: string, n: number, as = world.a.keys.admin): Promise<number> {
  const steps = { wait: { type: 'approval', name: `form ${n}` } }
  const { status } = await world.call('POST', '/api/v1/workflows', { as, body: { id, name: 'w', steps } })
  expect(status).toBe(201)
  return n
}

/** Versions as many saves would leave them, without the saves. */
const many = (tenant: TestTenant, id: string, from: number, to: number) =>
  world.kernel.db.tenant(tenant.id, (tx) =>
    tx.run(sql`
      insert into workflow_versions (tenant_id, workflow_id, revision, definition, plan, digest, saved_by, saved_at)
      select ${tenant.id}, ${id}, n, '{}', '{}', n::text, 'x', ${at(now())} from generate_series(${from}::int, ${to}::int) n`),
  )

const kept = async (id: string, tenant = world.a): Promise<number[]> => {
  const rows = await world.kernel.db.tenant(tenant.id, (tx) =>
    tx.many<{ revision: number }>(
      sql`select revision from workflow_versions where workflow_id = ${id} order by revision`,
    ),
  )
  return rows.map(({ revision }) => revision)
}

test('the newest versions stay, and older ones that a run names or that are current', async () => {
  await save('named', 1)
  const started = await world.call('POST', '/api/v1/workflows/named/runs', { body: {} })
  const run = started.body.run_id
  for (let n = 2; n <= 6; n++) await save('named', n)
  await save('pinned', 1)
  await many(world.a, 'pinned', 2, 6)
  world.clock?.advance(HOUR)
  await sweep(3)
  expect(await kept('named')).toEqual([1, 4, 5, 6])
  expect(await kept('pinned')).toEqual([1, 4, 5, 6])
  // The run goes on with the form that it began with, and that goes with it.
  const decided = await world.call('POST', `/api/v1/workflows/named/runs/${run}/steps/wait/approve`, {
    body: { approved: true },
  })
  expect(decided.status).toBe(204)
  await expect.poll(async () => (await world.call('GET', `/api/v1/workflow-runs/${run}`)).body.status).toBe('succeeded')
  await sweep(3)
  expect(await kept('named')).toContain(1)
  expect((await world.call('DELETE', `/api/v1/workflow-runs/${run}`)).status).toBe(204)
  await sweep(3)
  expect(await kept('named')).toEqual([4, 5, 6])
  expect(await save('named', 7)).toBe(7)
  expect(await kept('named')).toEqual([4, 5, 6, 7])
})

test('a version that was current a moment ago stays: a start may be about to name it', async () => {
  for (let n = 1; n <= 3; n++) await save('fresh', n)
  await sweep(1)
  expect(await kept('fresh')).toEqual([1, 2, 3])
  world.clock?.advance(HOUR)
  await sweep(1)
  expect(await kept('fresh')).toEqual([3])
})

test('of a workflow that was removed the newest stay, so that numbers go on; more than a batch goes, in every tenant', async () => {
  await save('removed', 1)
  await many(world.a, 'removed', 2, 2500)
  await many(world.b, 'removed', 1, 5)
  expect((await world.call('DELETE', '/api/v1/workflows/removed')).status).toBe(204)
  world.clock?.advance(HOUR)
  await sweep(2)
  expect(await kept('removed')).toEqual([2499, 2500])
  expect(await kept('removed', world.b)).toEqual([4, 5])
  await save('removed', 2501)
  expect(await kept('removed')).toEqual([2499, 2500, 2501])
})

test('a sweep over more workflows than one look covers reaches all of them', async () => {
  await inA((tx) =>
    tx.run(sql`
      insert into workflow_versions (tenant_id, workflow_id, revision, definition, plan, digest, saved_by, saved_at)
      select ${world.a.id}, 'w' || w, n, '{}', '{}', n::text, 'x', ${at(now())} from generate_series(1, 1200) w, generate_series(1, 3) n`),
  )
  world.clock?.advance(HOUR)
  await sweep(1)
  const { n } = await inA((tx) =>
    tx.one<{ n: number }>(sql`select count(*)::int as n from workflow_versions where workflow_id like 'w%'`),
  )
  expect(n).toBe(1200)
})
