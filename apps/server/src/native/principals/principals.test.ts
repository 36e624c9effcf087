import { create } from '@bufbuild/protobuf'
import { JobRequestSchema } from '@wheelhouse/contract/proto/cap_pb'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { sql } from '../../kernel/db/index.ts'
import { changeUser, createKey, createUser } from '../../kernel/identity/index.ts'
import { capWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const act = (id: string, what: 'freeze' | 'thaw', as = world.a.keys.admin) =>
  world.call('POST', `/wheelhouse/api/v1/principals/${id}/${what}`, { as, body: {} })

async function user(name: string, role: string): Promise<{ id: string; key: string }> {
  const { kernel, a } = world
  return kernel.db.auth(async (tx) => {
    const made = await createUser(tx, kernel.clock.now(), { tenantId: a.id, username: name, role })
    const { token } = await createKey(tx, kernel.clock.now(), { tenantId: a.id, ownerId: made.id, name: 'k' })
    return { id: made.id, key: token }
  })
}

test('freezing ends open streams and sockets, not only the next request', async () => {
  const { id, key } = await user('streamer', 'operator')
  const stream = await fetch(`${world.url}/wheelhouse/api/v1/events/stream`, {
    headers: { authorization: `Bearer ${key}` },
  })
  expect(stream.status).toBe(200)
  const socket = new WebSocket(`${world.url.replace('http', 'ws')}/ws`, { headers: { authorization: `Bearer ${key}` } })
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve())
    socket.once('error', reject)
  })
  const closed = new Promise<number>((resolve) => socket.once('close', resolve))
  const started = performance.now()
  expect(await act(id, 'freeze')).toMatchObject({ status: 200, body: { id, state: 'frozen' } })
  const reader = stream.body?.getReader()
  for (;;) {
    const { done } = (await reader?.read()) ?? { done: true }
    if (done) break
  }
  expect(await closed).toBe(1008)
  // Well below the sweep of 10 s: the freeze itself ended them.
  expect(performance.now() - started).toBeLessThan(8000)
  expect(await world.call('GET', '/api/v1/userinfo', { as: key })).toMatchObject({ status: 401 })
  expect(await act(id, 'thaw')).toMatchObject({ status: 200, body: { state: 'active' } })
  expect(await world.call('GET', '/api/v1/userinfo', { as: key })).toMatchObject({ status: 200 })
})

test('a single key is frozen alone', async () => {
  const { key } = await user('two-keys', 'viewer')
  const { keyId = '' } = await world.principal(key)
  expect(await act(keyId, 'freeze')).toMatchObject({ status: 200 })
  await expect.poll(async () => (await world.call('GET', '/api/v1/userinfo', { as: key })).status).toBe(401)
})

test('nobody freezes themselves, who holds more, or who is not theirs', async () => {
  expect(await act(world.a.adminId, 'freeze')).toMatchObject({ status: 409 })
  const boss = await user('boss', 'platform-admin')
  expect(await act(boss.id, 'freeze')).toMatchObject({ status: 403 })
  expect(await act(world.b.adminId, 'freeze')).toMatchObject({ status: 404 })
  expect(await act(boss.id, 'freeze', world.a.keys.operator)).toMatchObject({ status: 403 })
})

const get = (path: string, as = world.a.keys.admin) => world.call('GET', `/wheelhouse/api/v1/principals${path}`, { as })
const submit = async (as: string, body: object, headers: Record<string, string> = {}): Promise<string> => {
  const made = await world.call('POST', '/api/v1/jobs', { as, body: { prompt: 'x', ...body }, headers })
  expect(made.status).toBe(200)
  return made.body.job_id
}
const job = (id: string) => world.call('GET', `/api/v1/jobs/${id}`).then(({ body }) => body)

test('lists who acts by cursor, and shows one with owner, chain, keys and work', async () => {
  const { id, key } = await user('shown', 'operator')
  const { keyId = '' } = await world.principal(key)
  const seen: string[] = []
  for (let path = '?pageSize=5&sort=createdAt'; ;) {
    const { status, body } = await get(path)
    expect(status).toBe(200)
    seen.push(...body.items.map((each: { id: string }) => each.id))
    if (body.next === null) break
    path = `?pageSize=5&sort=createdAt&cursor=${encodeURIComponent(body.next)}`
  }
  expect(new Set(seen).size).toBe(seen.length)
  expect(seen).toEqual(expect.arrayContaining([id, keyId]))
  expect(seen).not.toContain(world.b.adminId)
  await submit(key, { topic: 'job.nobody.listens' })
  expect((await get(`/${keyId}`)).body).toMatchObject({
    kind: 'key',
    state: 'active',
    owner: { id, kind: 'user', name: 'shown' },
    chain: [{ id }],
    jobs: { waiting: 1, held: 0, running: 0, frozen: 0, onBehalf: 0 },
  })
  expect((await get(`/${id}`)).body).toMatchObject({
    roles: ['operator'],
    owner: null,
    chain: [],
    owns: [{ id: keyId, kind: 'key', state: 'active' }],
    jobs: { waiting: 1, onBehalf: 1 },
  })
  expect((await get(`/${world.b.adminId}`)).status).toBe(404)
})

test('freezing parks what waits and cancels what runs; thawing lets it go on', async () => {
  const { id, key } = await user('frozen', 'operator')
  const worker = await capWorker(world, world.a, { id: 'w-freeze', topics: ['job.freeze'], pool: 'default' })
  try {
    worker.heartbeat({ capabilities: ['job.freeze'] })
    const running = await submit(key, { topic: 'job.freeze' })
    await expect.poll(() => worker.taken.length).toBe(1)
    const waiting = await submit(key, { topic: 'job.later' })
    const others = await submit(world.a.keys.operator, { topic: 'job.freeze' })
    const started = performance.now()
    expect(await act(id, 'freeze')).toMatchObject({ status: 200 })
    await expect.poll(async () => (await job(running)).state, { interval: 20 }).toBe('CANCELLED')
    expect(performance.now() - started).toBeLessThan(1000)
    expect(await job(running)).toMatchObject({ error_code: 'principal_frozen' })
    await expect.poll(() => worker.cancels.map(({ jobId }) => jobId)).toEqual([running])
    await expect.poll(async () => (await get(`/${id}`)).body.jobs).toMatchObject({ waiting: 0, frozen: 1, running: 0 })
    // Somebody listens now; what is frozen stays where it is, while others' work goes on.
    const later = await capWorker(world, world.a, { id: 'w-later', topics: ['job.later'], work: () => ({}) })
    try {
      later.heartbeat({ capabilities: ['job.later'] })
      expect((await job(others)).state).toBe('RUNNING')
      const after = await submit(world.a.keys.operator, { topic: 'job.later' })
      await expect.poll(async () => (await job(after)).state, { timeout: 10_000 }).toBe('SUCCEEDED')
      expect((await job(waiting)).state).toBe('PENDING')
      expect(await act(id, 'thaw')).toMatchObject({ status: 200 })
      await expect.poll(async () => (await job(waiting)).state, { timeout: 10_000 }).toBe('SUCCEEDED')
    } finally {
      await later.close()
    }
  } finally {
    await worker.close()
  }
})

test('a job that becomes ready while its principal is frozen does not run', async () => {
  const { id, key } = await user('late', 'operator')
  const waiting = await submit(key, { topic: 'job.late' })
  const { kernel, a } = world
  await kernel.db.tenant(a.id, (tx) => tx.run(sql`update job_queue set state = 'held' where id = ${waiting}`))
  expect(await act(id, 'freeze')).toMatchObject({ status: 200 })
  const worker = await capWorker(world, world.a, { id: 'w-late', topics: ['job.late'], work: () => ({}) })
  try {
    worker.heartbeat({ capabilities: ['job.late'] })
    await kernel.db.tenant(a.id, (tx) => tx.run(sql`update job_queue set state = 'ready' where id = ${waiting}`))
    await expect.poll(async () => (await get(`/${id}`)).body.jobs, { timeout: 10_000 }).toMatchObject({ frozen: 1 })
    expect(worker.taken).toEqual([])
  } finally {
    await worker.close()
  }
})

test('disabling a user freezes what they have under way', async () => {
  const { id, key } = await user('disabled', 'operator')
  const waiting = await submit(key, { topic: 'job.disabled' })
  const { kernel, a } = world
  await kernel.db.tenant(a.id, async (tx) => {
    await changeUser(tx, kernel.clock.now(), id, { disabled: true })
    tx.afterCommit(() => kernel.identity.changed())
  })
  await expect.poll(async () => (await get(`/${id}`)).body).toMatchObject({ state: 'frozen', jobs: { frozen: 1 } })
  expect((await job(waiting)).state).toBe('PENDING')
})

test('a service that may says for whom it acts: recorded on job, decision and trail, and bounded by both', async () => {
  const { kernel, a } = world
  const person = await user('asker', 'user')
  const looker = await user('looker', 'viewer')
  const as = a.keys.admin
  const id = await submit(as, { topic: 'job.for' }, { 'x-on-behalf-of': 'asker' })
  const chain = [person.id, a.adminId]
  expect(await job(id)).toMatchObject({ on_behalf_of: chain })
  const decisions = await world.call('GET', `/api/v1/jobs/${id}/decisions`)
  expect(decisions.body[0]).toMatchObject({ on_behalf_of: chain, principal_id: (await world.principal(as)).id })
  await expect
    .poll(() =>
      kernel.db.tenant(a.id, (tx) =>
        tx.maybe(
          sql`select body -> 'actor' -> 'onBehalfOf' as chain from audit where verb = 'job.submit' and resource_id = ${id}`,
        ),
      ),
    )
    .toEqual({ chain })
  const asked = (key: string, named: string) =>
    world.call('POST', '/api/v1/jobs', { as: key, body: { prompt: 'x' }, headers: { 'x-on-behalf-of': named } })
  // A viewer may not submit, so nobody may for them.
  expect((await asked(as, looker.id)).status).toBe(403)
  expect((await asked(as, 'nobody-of-this-name')).status).toBe(403)
  expect((await asked(as, world.b.adminId)).status).toBe(403)
  expect((await asked(a.keys.operator, 'asker')).status).toBe(403)
  expect(await act(person.id, 'freeze')).toMatchObject({ status: 200 })
  expect((await asked(as, 'asker')).status).toBe(403)
  await expect.poll(async () => (await get(`/${person.id}`)).body.jobs).toMatchObject({ frozen: 1, onBehalf: 1 })
})

test('what a worker submits while it works on a job is done on behalf of whoever asked for that job', async () => {
  const person = await user('parent', 'operator')
  const keyId = (await world.principal(person.key)).id
  const worker = await capWorker(world, world.a, { id: 'w-parent', topics: ['job.parent'] })
  try {
    worker.heartbeat({ capabilities: ['job.parent'] })
    const parent = await submit(person.key, { topic: 'job.parent' })
    await expect.poll(() => worker.taken.length).toBe(1)
    worker.send('sys.job.submit', {
      case: 'jobRequest',
      value: create(JobRequestSchema, { jobId: 'child-of-parent', topic: 'job.child', parentJobId: parent }),
    })
    await expect
      .poll(async () => (await job('child-of-parent')).on_behalf_of)
      .toEqual([keyId, person.id, world.a.adminId])
    const overHttp = await submit(worker.token, { topic: 'job.child', parent_job_id: parent })
    expect(await job(overHttp)).toMatchObject({ on_behalf_of: [keyId, person.id, world.a.adminId] })
    // One who is no worker only names it, and only their own.
    const named = await submit(person.key, { topic: 'job.child', parent_job_id: overHttp })
    expect(await job(named)).toMatchObject({ on_behalf_of: [person.id] })
    const body = { prompt: 'x', topic: 'job.child', parent_job_id: parent }
    expect((await world.call('POST', '/api/v1/jobs', { as: world.a.keys.user, body })).status).toBe(403)
  } finally {
    await worker.close()
  }
})

test('what a frozen worker works on goes to another within a second', async () => {
  const frozen = await capWorker(world, world.a, { id: 'w-cut', topics: ['job.cut'] })
  frozen.heartbeat({ capabilities: ['job.cut'] })
  const id = await submit(world.a.keys.operator, { topic: 'job.cut' })
  await expect.poll(() => frozen.taken.length).toBe(1)
  const other = await capWorker(world, world.a, { id: 'w-other', topics: ['job.cut'], work: () => ({}) })
  try {
    other.heartbeat({ capabilities: ['job.cut'] })
    await expect.poll(() => world.kernel.jobs.workers.find(world.a.id, 'w-other')).toBeDefined()
    const { keyId = '' } = await world.principal(frozen.token)
    const started = performance.now()
    expect(await act(keyId, 'freeze')).toMatchObject({ status: 200 })
    await expect.poll(async () => (await job(id)).state, { interval: 20 }).toBe('SUCCEEDED')
    expect(performance.now() - started).toBeLessThan(1000)
    expect(await job(id)).toMatchObject({ worker_id: 'w-other' })
    await frozen.connection.closed()
  } finally {
    await other.close()
  }
})
