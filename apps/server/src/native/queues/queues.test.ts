import type { JobRequest } from '@wheelhouse/contract/proto/cap_pb'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { capWorker, type CapWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
let worker: CapWorker
let other: CapWorker
const open: (() => void)[] = []
const slow = new Set<string>()
/** Of the concurrency key: now, and the most at once. */
let running = 0
let most = 0

beforeAll(async () => {
  world = await openWorld()
  const work = async ({ attempt, topic, labels }: JobRequest) => {
    const keyed = labels['concurrency.key'] === undefined ? 0 : 1
    running += keyed
    most = Math.max(most, running)
    if (slow.has(topic)) await new Promise<void>((resolve) => open.push(resolve))
    running -= keyed
    return { attempt }
  }
  const capabilities = ['job.one', 'job.two', 'job.slow', 'job.key']
  worker = await capWorker(world, world.a, { id: 'w1', work })
  other = await capWorker(world, world.a, { id: 'w2', work })
  worker.heartbeat({ capabilities, maxParallelJobs: 50 })
  other.heartbeat({ capabilities, maxParallelJobs: 50, pool: 'second' })
  await vi.waitFor(() => expect(world.kernel.jobs.workers.live(world.a.id)).toHaveLength(2), 5000)
})
afterAll(async () => {
  await worker.close()
  await other.close()
  await world.close()
})

const as = () => world.a.keys.operator
const post = (path: string, body: object = {}) => world.call('POST', `/wheelhouse/api/v1/${path}`, { as: as(), body })
const submit = async (topic: string, labels: object = {}): Promise<string> =>
  (await world.call('POST', '/api/v1/jobs', { body: { prompt: 'x', topic, labels } })).body.job_id
const ended = (id: string, ms = 10_000) => world.kernel.jobs.wait(world.a.id, id, ms)
const topics = async () =>
  (await world.call('GET', '/wheelhouse/api/v1/queues', { as: as() })).body.topics as {
    topic: string
    waiting: number
    setAside: number
    blocked: number
    running: number
    paused: object | null
    oldestWaitingSince: string | null
  }[]
const topic = async (name: string) => (await topics()).find((each) => each.topic === name)

test('a paused topic hands nothing out while others go on; resumed, all of it runs in its order', async () => {
  const paused = await post('queues/topic/job.one/pause', { reason: 'maintenance' })
  expect(paused).toMatchObject({ status: 200, body: { paused: { by: 'operator', reason: 'maintenance' } } })
  const waiting = [await submit('job.one'), await submit('job.one')]
  expect(await ended(await submit('job.two'))).toMatchObject({ kind: 'succeeded' })
  expect(await topic('job.one')).toMatchObject({ setAside: 2, running: 0, paused: { reason: 'maintenance' } })
  expect((await topic('job.one'))?.oldestWaitingSince).toEqual(expect.any(String))
  const why = await world.call('GET', `/api/v1/jobs/${waiting[0]}`)
  expect(why.body.state).toBe('PENDING')
  await post('queues/topic/job.one/resume')
  for (const id of waiting) expect(await ended(id)).toMatchObject({ kind: 'succeeded' })
  expect(await topic('job.one')).toMatchObject({ setAside: 0, paused: null })
})

test('jobs that wait when their topic is paused are set aside, and a paused job can be cancelled', async () => {
  const id = await submit('job.unserved')
  await post('queues/topic/job.unserved/pause')
  await expect.poll(async () => (await topic('job.unserved'))?.setAside).toBe(1)
  const cancelled = await world.call('POST', `/api/v1/jobs/${id}/cancel`)
  expect(cancelled.body.state).toBe('CANCELLED')
  await post('queues/topic/job.unserved/resume')
})

test('a paused pool and a drained worker get nothing; the drain lasts until it is lifted', async () => {
  await post('queues/pool/second/pause')
  const before = worker.taken.length
  for (let i = 0; i < 4; i += 1) await ended(await submit('job.one'))
  expect(worker.taken.length - before).toBe(4)
  await post('queues/pool/second/resume')
  expect(await post('workers/w1/drain', { reason: 'upgrade' })).toMatchObject({
    body: { workerId: 'w1', draining: { reason: 'upgrade' } },
  })
  worker.heartbeat({ capabilities: ['job.one'] })
  const rest = other.taken.length
  for (let i = 0; i < 4; i += 1) await ended(await submit('job.one'))
  expect(other.taken.length - rest).toBe(4)
  const { body } = await world.call('GET', '/api/v1/workers', { as: as() })
  expect(body).toMatchObject([
    { worker_id: 'w1', draining: true, updated_at: expect.any(String) },
    { worker_id: 'w2', pool: 'second' },
  ])
  const { pools } = (await world.call('GET', '/wheelhouse/api/v1/queues', { as: as() })).body
  expect(pools).toMatchObject([
    { pool: 'default', workers: 1, draining: 1, capacity: 0 },
    { pool: 'second', workers: 1, draining: 0, capacity: 50 },
  ])
  expect((await post('workers/w1/undrain')).body.draining).toBeNull()
})

test('beyond its depth a topic refuses submissions with 429 and a time to wait; what waits too long ends', async () => {
  const limits = await world.call('PUT', '/wheelhouse/api/v1/queues/topic/job.deep/limits', {
    as: as(),
    body: { maxDepth: 2, maxAgeMs: null },
  })
  expect(limits.body).toMatchObject({ limits: { maxDepth: 2, maxAgeMs: null } })
  const kept = [await submit('job.deep'), await submit('job.deep')]
  const refused = await world.call('POST', '/api/v1/jobs', { body: { prompt: 'x', topic: 'job.deep' } })
  expect(refused).toMatchObject({ status: 429, body: { retryable: true } })
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  await world.call('PUT', '/wheelhouse/api/v1/queues/topic/job.deep/limits', {
    as: as(),
    body: { maxDepth: null, maxAgeMs: 1000 },
  })
  for (const id of kept) expect(await ended(id)).toMatchObject({ kind: 'timed_out', code: 'queue_expired' })
  const letters = await world.call('GET', '/api/v1/dlq?reason_code=queue_expired', { as: as() })
  expect(letters.body.map(({ job_id }: { job_id: string }) => job_id).sort()).toEqual(kept.toSorted())
})

test('of one concurrency key only as many run as its label allows, and the next follows at once', async () => {
  slow.add('job.key')
  const labels = { 'concurrency.key': 'db', 'concurrency.limit': '2' }
  const jobs = [await submit('job.key', labels)]
  for (let i = 0; i < 4; i += 1) jobs.push(await submit('job.key', labels))
  const free = await submit('job.key')
  await expect.poll(async () => await topic('job.key')).toMatchObject({ running: 3, blocked: 3, waiting: 0 })
  slow.delete('job.key')
  for (const go of open.splice(0)) go()
  for (const id of jobs) expect(await ended(id)).toMatchObject({ kind: 'succeeded' })
  expect(most).toBe(2)
  expect(await ended(free)).toMatchObject({ kind: 'succeeded' })
})
