import { JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { capWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { sql } from '../db/index.ts'
import { LEASE_MS } from './queue.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({ movableClock: true })
})
afterAll(() => world.close())

test('a claim that ran out while it could not be prolonged, and is worked on all the same, is prolonged before any is freed', async () => {
  const { kernel, a, clock } = world
  const worker = await capWorker(world, a, { id: 'l1', topics: ['job.longer'] })
  const principal = await world.principal(a.keys.admin)
  const { jobId } = await kernel.jobs.submitBatched(principal, {
    request: { topic: 'job.longer', tenant: principal.tenantSlug, principalId: 'alice' },
    context: null,
  })
  await expect.poll(() => worker.taken).toHaveLength(1)
  const stands = () =>
    kernel.db.tenant(a.id, (tx) =>
      tx.maybe<{ fence: number; recoveries: number; left: number }>(sql`
        select fence, recoveries, (extract(epoch from lease_until) * 1000)::float8 - ${kernel.clock.now()}::float8 as left from job_queue where id = ${jobId}`),
    )
  // The time of an outage: sweeps and renewals met no database meanwhile.
  clock?.advance(LEASE_MS + 10_000)
  await expect.poll(async () => ((await stands())?.left ?? 0) > 0, { timeout: 10_000 }).toBe(true)
  expect(await stands()).toMatchObject({ fence: 1, recoveries: 0 })
  worker.send('sys.job.result', { case: 'jobResult', value: { jobId, status: JobStatus.SUCCEEDED } })
  expect(await kernel.jobs.wait(a.id, jobId, 10_000)).toMatchObject({ kind: 'succeeded' })
  expect(worker.taken).toHaveLength(1)
  await worker.close()
})
