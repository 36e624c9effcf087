import { JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { capWorker, type CapWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { sql } from '../../kernel/db/index.ts'

let world: World
let worker: CapWorker
beforeAll(async () => {
  world = await openWorld()
  worker = await capWorker(world, world.a, {
    id: 'w1',
    work: ({ attempt, labels }) =>
      labels['retry'] === 'true' || labels['replay'] === 'true'
        ? { attempt }
        : { attempt, status: JobStatus.FAILED, errorCode: labels['code'] ?? 'boom', errorMessage: 'it broke' },
  })
  worker.heartbeat({ capabilities: ['job.fail'], maxParallelJobs: 500 })
})
afterAll(async () => {
  await worker.close()
  await world.close()
})

const as = () => world.a.keys.operator
const submit = async (topic: string, labels: object = {}, key = as()): Promise<string> =>
  (await world.call('POST', '/api/v1/jobs', { as: key, body: { prompt: 'x', topic, labels } })).body.job_id
const many = (n: number, topic: string, labels: object = {}) =>
  Promise.all(Array.from({ length: n }, () => submit(topic, labels)))
const act = (path: string, body: object) => world.call('POST', `/wheelhouse/api/v1/${path}`, { as: as(), body })
const done = async (id: string) => {
  const get = async () => (await world.call('GET', `/wheelhouse/api/v1/bulk/${id}`, { as: as() })).body
  await expect.poll(async () => (await get()).state, { timeout: 20_000 }).not.toBe('running')
  return get()
}
const ended = (ids: readonly string[]) => Promise.all(ids.map((id) => world.kernel.jobs.wait(world.a.id, id, 15_000)))

test('cancelling counts first, wants the count confirmed, and then touches only what was there', async () => {
  await many(130, 'job.waits', { batch: 'b1' })
  const keep = await submit('job.waits', { batch: 'b2' })
  const filter = { topic: 'job.waits', labels: { batch: 'b1' } }
  const dry = await act('jobs/bulk/cancel', { filter, dryRun: true })
  expect(dry.body).toMatchObject({
    dryRun: true,
    count: 130,
    // One or another may just be looking for a worker.
    groups: expect.arrayContaining([{ name: 'PENDING', count: expect.any(Number) }]),
    operation: null,
  })
  expect(dry.body.examples).toHaveLength(10)
  expect(await act('jobs/bulk/cancel', { filter })).toMatchObject({ status: 400, body: { code: 'VAL_REQUIRED' } })
  expect(await act('jobs/bulk/cancel', { filter, confirmCount: 60 })).toMatchObject({ status: 409 })
  const { body } = await act('jobs/bulk/cancel', { filter, confirmCount: 130, reason: 'wrong batch' })
  expect(await done(body.operation.id)).toMatchObject({
    verb: 'cancel',
    state: 'done',
    matched: 130,
    done: 130,
    failed: 0,
    startedBy: 'operator',
  })
  expect((await world.call('GET', `/api/v1/jobs/${keep}`)).body.state).toBe('PENDING')
  const left = await act('jobs/bulk/cancel', { filter, dryRun: true })
  expect(left.body.count).toBe(0)
  const audit = await world.kernel.db.tenant(world.a.id, (tx) =>
    tx.many<{ body: { metadata: object } }>(
      sql`select body from outbox where kind = 'audit' and body ->> 'verb' = 'job.bulk-cancel' and body ->> 'resourceId' = ${body.operation.id}
          union all select row_to_json(a)::jsonb from audit a where a.resource_id = ${body.operation.id}`,
    ),
  )
  expect(audit).toHaveLength(1)
})

test('an empty filter is refused, and nobody cancels without the right', async () => {
  expect((await act('jobs/bulk/cancel', { filter: {}, dryRun: true })).status).toBe(400)
  const viewer = await world.call('POST', '/wheelhouse/api/v1/jobs/bulk/cancel', {
    as: world.a.keys.viewer,
    body: { filter: { topic: 'job.waits' }, dryRun: true },
  })
  expect(viewer.status).toBe(403)
})

test('retrying takes failed jobs and their dead letters; replaying takes any that ended', async () => {
  const failed = await many(5, 'job.fail', { set: 'r' })
  await ended(failed)
  const filter = { labels: { set: 'r' }, reasonCode: 'boom' }
  const { body } = await act('jobs/bulk/retry', { filter, confirmCount: 5 })
  expect(await done(body.operation.id)).toMatchObject({ done: 5, skipped: 0, failed: 0 })
  const clones = (await world.call('GET', '/api/v1/jobs?topic=job.fail&limit=100')).body.items as { id: string }[]
  const retried = clones.map(({ id }) => id).filter((id) => id.includes('-retry-'))
  expect(retried).toHaveLength(5)
  expect((await ended(retried)).map((end) => end?.kind)).toEqual(Array(5).fill('succeeded'))
  const letters = await act('dlq/bulk/delete', { filter: { ids: failed }, dryRun: true })
  expect(letters.body.count).toBe(0)
  const replay = await act('jobs/bulk/replay', { filter: { ids: [...retried.slice(0, 2), ...failed.slice(0, 1)] } })
  expect(await done(replay.body.operation.id)).toMatchObject({ matched: 3, done: 3 })
})

test('dead letters are retried or deleted by reason', async () => {
  const ids = await many(4, 'job.fail', { code: 'bulk_letters' })
  await ended(ids)
  const filter = { reasonCode: 'bulk_letters' }
  const dry = await act('dlq/bulk/retry', { filter, dryRun: true })
  expect(dry.body).toMatchObject({ count: 4, groups: [{ name: 'bulk_letters', count: 4 }] })
  const retry = await act('dlq/bulk/retry', { filter: { ...filter, ids: ids.slice(0, 1) } })
  expect(await done(retry.body.operation.id)).toMatchObject({ done: 1 })
  const remove = await act('dlq/bulk/delete', { filter })
  expect(await done(remove.body.operation.id)).toMatchObject({ verb: 'dead-letter-delete', done: 3 })
  expect((await act('dlq/bulk/delete', { filter, dryRun: true })).body.count).toBe(0)
})

test('an act that its replica left half done is taken up again and submits nothing twice', async () => {
  const ids = await many(3, 'job.fail', { set: 'resume' })
  await ended(ids)
  const { body } = await act('jobs/bulk/retry', { filter: { labels: { set: 'resume' } } })
  await done(body.operation.id)
  // As after a crash between the submissions and the note of them.
  await world.kernel.db.tenant(world.a.id, (tx) =>
    tx.run(sql`
      update bulk_operations set state = 'running', position = null, lease_until = null where id::text = ${body.operation.id}`),
  )
  await done(body.operation.id)
  const jobs = (await world.call('GET', '/api/v1/jobs?topic=job.fail&limit=500')).body.items as { id: string }[]
  for (const id of ids) expect(jobs.filter((job) => job.id.startsWith(`${id}-retry-`))).toHaveLength(1)
})

test('acts are listed, and a stopped one stays stopped', async () => {
  const list = await world.call('GET', '/wheelhouse/api/v1/bulk?pageSize=2', { as: as() })
  expect(list.body.items).toHaveLength(2)
  const stopped = await world.call('POST', `/wheelhouse/api/v1/bulk/${list.body.items[0].id}/stop`, { as: as() })
  expect(stopped.body.state).toBe('done')
  const missing = await world.call('GET', '/wheelhouse/api/v1/bulk/nothing', { as: as() })
  expect(missing.status).toBe(404)
})

test('a long act lets those of other tenants have their turn, and a tenant has few at once', async () => {
  const { a, b, kernel } = world
  const letters = (tenant: string, n: number) =>
    kernel.db.tenant(tenant, (tx) =>
      tx.run(sql`
        insert into dead_letters (tenant_id, job_id, topic, status, reason, reason_code, last_state, attempts, created_at, us)
        select ${tenant}, 'letter ' || i, 'job.long', 'FAILED', '', 'long', 'RUNNING', 1, now() - interval '1 hour', i from generate_series(1, ${n}::int) i`),
    )
  await letters(a.id, 30_000)
  await letters(b.id, 3)
  const remove = (key: string, confirmCount: number) =>
    world.call('POST', '/wheelhouse/api/v1/dlq/bulk/delete', {
      as: key,
      body: { filter: { reasonCode: 'long' }, confirmCount },
    })
  const long = await remove(a.keys.admin, 30_000)
  const short = await remove(b.keys.admin, 3)
  const read = async (key: string, id: string) =>
    (await world.call('GET', `/wheelhouse/api/v1/bulk/${id}`, { as: key })).body
  const endedOf = async (key: string, id: string) => {
    await expect.poll(async () => (await read(key, id)).state, { timeout: 30_000 }).toBe('done')
    return read(key, id)
  }
  const [first, second] = [
    await endedOf(b.keys.admin, short.body.operation.id),
    await endedOf(a.keys.admin, long.body.operation.id),
  ]
  expect(second.done).toBe(30_000)
  expect(Date.parse(first.updatedAt)).toBeLessThan(Date.parse(second.updatedAt))
  await kernel.db.tenant(b.id, (tx) =>
    tx.run(sql`
      insert into bulk_operations (tenant_id, id, verb, filter, principal, up_to, matched, lease_until, created_at, updated_at)
      select ${b.id}, gen_random_uuid(), 'cancel', '{}', '{}', now(), 0, now() + interval '1 hour', now(), now() from generate_series(1, 20)`),
  )
  await letters(b.id, 3)
  expect(await remove(b.keys.admin, 3)).toMatchObject({ status: 409 })
}, 60_000)
