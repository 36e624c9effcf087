import { afterAll, beforeAll, expect, test } from 'vitest'
import { capWorker, type CapWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { sql } from '../db/index.ts'
import { jobRetention } from './retention.ts'

const DAY = 86_400_000
let world: World
let worker: CapWorker
beforeAll(async () => {
  world = await openWorld({ movableClock: true })
  worker = await capWorker(world, world.a, { id: 'w', topics: ['job.gone'], work: ({ attempt }) => ({ attempt }) })
})
afterAll(async () => {
  await worker.close()
  await world.close()
})

const submit = async (topic: string): Promise<string> =>
  (await world.call('POST', '/api/v1/jobs', { body: { prompt: 'x', topic } })).body.job_id
const run = () =>
  jobRetention(world.kernel.db, world.kernel.clock, { jobsMs: 30 * DAY, deadLettersMs: 30 * DAY }).run(
    new AbortController().signal,
  )
const rows = (table: string, column: string, id: string) =>
  world.kernel.db.tenant(world.a.id, (tx) =>
    tx.many(sql`select 1 from ${sql.table(table)} where ${sql.ref(column)} = ${id}`),
  )

test('a job goes with all that belongs to it, a time after its end; what lives and what is younger stays', async () => {
  const old = await submit('job.gone')
  const living = await submit('job.nobody')
  await expect.poll(async () => (await world.call('GET', `/api/v1/jobs/${old}`)).body.state).toBe('SUCCEEDED')
  world.clock?.advance(29 * DAY)
  const young = await submit('job.nobody')
  await world.call('POST', `/api/v1/jobs/${young}/cancel`)
  await run()
  expect(await rows('jobs', 'id', old)).toHaveLength(1)
  world.clock?.advance(2 * DAY)
  await run()
  for (const [table, column] of [
    ['jobs', 'id'],
    ['decisions', 'job_id'],
    ['job_output', 'job_id'],
  ] as const)
    expect(await rows(table, column, old), table).toHaveLength(0)
  for (const id of [living, young]) expect(await rows('jobs', 'id', id)).toHaveLength(1)
})

test('a tenant may keep them shorter', async () => {
  const id = await submit('job.nobody')
  await world.call('POST', `/api/v1/jobs/${id}/cancel`)
  await world.kernel.db.tenant(world.a.id, (tx) =>
    tx.run(
      sql`update tenants set settings = ${JSON.stringify({ retention: { jobsMs: DAY } })}::jsonb where id = ${world.a.id}`,
    ),
  )
  world.clock?.advance(2 * DAY)
  await run()
  expect(await rows('jobs', 'id', id)).toHaveLength(0)
})
