import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { capWorker, type CapWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { sql } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'
import { openFair } from './fair.ts'

let world: World
const workers: CapWorker[] = []
/** Jobs in the order in which workers got them. */
const order: string[] = []
let noisy: Principal
let quiet: Principal
let neighbour: Principal

beforeAll(async () => {
  world = await openWorld()
  noisy = await world.principal(world.a.keys.admin)
  quiet = await world.principal(world.a.keys.operator)
  neighbour = await world.principal(world.b.keys.admin)
})
afterAll(async () => {
  for (const each of workers) await each.close()
  await world.close()
})

async function work(tenant: World['a'], id: string, topic: string, maxParallelJobs: number): Promise<void> {
  const worker = await capWorker(world, tenant, {
    id,
    work({ jobId, attempt }) {
      order.push(jobId)
      return { attempt }
    },
  })
  worker.heartbeat({ capabilities: [topic], maxParallelJobs })
  workers.push(worker)
}

const submit = async (principal: Principal, topic: string, priority: 'batch' | 'interactive' = 'interactive') =>
  (
    await world.kernel.jobs.submitBatched(principal, {
      request: { topic, tenant: principal.tenantSlug, principalId: principal.subject, priority },
      context: '{}',
    })
  ).jobId
const many = (n: number, principal: Principal, topic: string) =>
  Promise.all(Array.from({ length: n }, () => submit(principal, topic)))

test('a key with thousands of waiting jobs lets another key’s first job through at once, and their next ones in turn', async () => {
  await many(3000, noisy, 'job.keys')
  const mine = [await submit(quiet, 'job.keys'), await submit(quiet, 'job.keys')]
  await work(world.a, 'slow', 'job.keys', 1)
  for (const id of mine) await world.kernel.jobs.wait(world.a.id, id, 20_000)
  // One turn each: the noisy key's first jobs stand beside them.
  expect(order.indexOf(mine[0] ?? '')).toBeLessThanOrEqual(2)
  expect(order.indexOf(mine[1] ?? '')).toBeLessThanOrEqual(4)
  // While the backlog is worked on, whoever comes new is next.
  await vi.waitFor(() => expect(order.length).toBeGreaterThan(30), 20_000)
  const late = await submit(quiet, 'job.keys')
  // From its commit on: what was claimed before that goes first.
  const before = order.length
  await world.kernel.jobs.wait(world.a.id, late, 20_000)
  expect(order.indexOf(late) - before).toBeLessThanOrEqual(4)
})

test('after a restart the turns go on where they were, and a key’s own jobs keep their order', async () => {
  const line = { tenantId: world.a.id, pool: '~job.keys', rank: 2 }
  const rows = await world.kernel.db.engine((tx) =>
    tx.one<{ first: number; last: number }>(sql`
      select min(n) as first, max(n) as last from job_queue where state = 'ready' and pool = '~job.keys' and principal_id = ${noisy.id}`),
  )
  const anew = openFair(world.kernel)
  expect(await anew.next(line, noisy.id)).toBeGreaterThan(rows.last)
  const first = await anew.next(line, quiet.id)
  // The line moves on meanwhile.
  expect(first).toBeGreaterThanOrEqual(rows.first)
  expect(first).toBeLessThan(rows.first + (rows.last - rows.first) / 2)
})

test('a tenant with thousands of waiting jobs does not keep another tenant’s job waiting', async () => {
  await many(3000, noisy, 'job.flood')
  await work(world.b, 'theirs', 'job.calm', 4)
  await work(world.a, 'flooded', 'job.flood', 100)
  const start = order.length
  await vi.waitFor(() => expect(order.length).toBeGreaterThan(start + 50), 20_000)
  for (let i = 0; i < 5; i += 1) {
    const before = order.length
    const id = await submit(neighbour, 'job.calm')
    await world.kernel.jobs.wait(world.b.id, id, 20_000)
    // Not more than what was claimed already and one claim beside it.
    expect(order.indexOf(id) - before).toBeLessThan(400)
  }
})

test('a higher priority goes before any turn', async () => {
  await work(world.a, 'ranks', 'job.ranks', 1)
  await world.call('POST', '/wheelhouse/api/v1/queues/topic/job.ranks/pause', { body: {} })
  const low = await Promise.all(Array.from({ length: 20 }, () => submit(noisy, 'job.ranks', 'batch')))
  const high = await submit(noisy, 'job.ranks')
  await world.call('POST', '/wheelhouse/api/v1/queues/topic/job.ranks/resume')
  await world.kernel.jobs.wait(world.a.id, high, 20_000)
  await world.kernel.jobs.wait(world.a.id, low[19] ?? '', 20_000)
  expect(order.indexOf(high)).toBeLessThan(Math.min(...low.map((id) => order.indexOf(id))))
})
