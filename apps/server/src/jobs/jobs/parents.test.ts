import { create } from '@bufbuild/protobuf'
import { JobRequestSchema, JobResultSchema, JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { jsonb, sql } from '../../kernel/db/index.ts'
import { bindRole, createKey, createUser } from '../../kernel/identity/index.ts'
import { type CapWorker, capWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
let asker: string
let parent: string
/** It works on the parent. */
let holder: CapWorker
/** A worker like it, of somebody else, that was not given the parent. */
let other: CapWorker

beforeAll(async () => {
  world = await openWorld()
  asker = await world.person(world.a, 'asker', 'user')
  holder = await workerOf('holder')
  other = await workerOf('other')
  holder.heartbeat({ capabilities: ['job.parent'] })
  parent = (await submit(asker, {}, 'job.parent')).body.job_id
  await vi.waitFor(() => expect(holder.taken).toHaveLength(1))
  expect(other.taken).toEqual([])
})
afterAll(async () => {
  await holder.close()
  await other.close()
  await world.close()
})

/** A worker with a key of a person of its own, who may submit and no more. */
async function workerOf(name: string): Promise<CapWorker> {
  const { kernel, a } = world
  const ownerId = await kernel.db.auth(async (tx) => {
    const rights = { allow: ['sys.job.submit', 'sys.job.result', 'sys.heartbeat'] }
    await tx.run(sql`
      insert into roles (tenant_id, name, patterns, pub) values (${a.id}, 'submitter', '{job:submit}', ${jsonb(rights)}) on conflict do nothing`)
    const user = await createUser(tx, kernel.clock.now(), { tenantId: a.id, username: name, role: 'submitter' })
    await bindRole(tx, a.id, user.id, 'worker')
    return user.id
  })
  return capWorker(world, a, { id: `w-${name}`, ownerId, topics: [name === 'holder' ? 'job.parent' : 'job.else'] })
}

const submit = (as: string, more: object, topic = 'job.child') =>
  world.call('POST', '/api/v1/jobs', { as, body: { prompt: 'x', topic, ...more } })
const chainOf = async (id: string) => (await world.call('GET', `/api/v1/jobs/${id}`)).body.on_behalf_of

test('a worker names the job that it works on as the parent, and acts for whoever asked for that', async () => {
  const made = await submit(holder.token, { parent_job_id: parent })
  expect(made.status).toBe(200)
  expect(await chainOf(made.body.job_id)).toContain((await world.principal(asker)).id)
  const value = create(JobRequestSchema, { jobId: 'over-the-bus', topic: 'job.child', parentJobId: parent })
  holder.send('sys.job.submit', { case: 'jobRequest', value })
  await expect.poll(() => chainOf('over-the-bus')).toContain((await world.principal(asker)).id)
})

test('a worker may submit with another key of its owner than it listens with', async () => {
  const { kernel, a } = world
  const { ownerId } = await world.principal(holder.token)
  const { token } = await kernel.db.auth((tx) =>
    createKey(tx, kernel.clock.now(), {
      tenantId: a.id,
      ownerId: ownerId ?? '',
      name: 'second',
      roles: ['worker', 'submitter'],
    }),
  )
  expect((await submit(token, { parent_job_id: parent })).status).toBe(200)
})

test('nobody else puts their job below it: neither a worker that was not given it nor a stranger', async () => {
  const stranger = await world.person(world.a, 'stranger', 'user')
  for (const token of [other.token, stranger]) {
    expect(await submit(token, { parent_job_id: parent })).toMatchObject({
      status: 403,
      body: { error: expect.stringContaining('parent_job_id') },
    })
  }
  const value = create(JobRequestSchema, { jobId: 'false-child', topic: 'job.child', parentJobId: parent })
  other.send('sys.job.submit', { case: 'jobRequest', value })
  const fine = create(JobRequestSchema, { jobId: 'after-it', topic: 'job.child' })
  other.send('sys.job.submit', { case: 'jobRequest', value: fine })
  await expect.poll(async () => (await world.call('GET', '/api/v1/jobs/after-it')).status).toBe(200)
  expect((await world.call('GET', '/api/v1/jobs/false-child')).status).toBe(404)
})

test('whoever asked for it and administrators name it; an unknown id is a label alone', async () => {
  const made = await submit(asker, { parent_job_id: parent })
  expect(made.status).toBe(200)
  expect(await chainOf(made.body.job_id)).toEqual([(await world.principal(asker)).ownerId])
  expect((await submit(world.a.keys.admin, { parent_job_id: parent })).status).toBe(200)
  const { status } = await submit(other.token, { parent_job_id: 'elsewhere-1' })
  expect(status).toBe(200)
})

test('a job that is offered on its topic to whoever listens is named by those who listen there', async () => {
  const silent = await workerOf('quiet')
  silent.connection.subscribe('job.offered')
  await silent.connection.flush()
  const offered = (await submit(asker, {}, 'job.offered')).body.job_id
  await expect
    .poll(async () => (await world.call('GET', `/api/v1/jobs/${offered}`)).body.state, { timeout: 10_000 })
    .toBe('RUNNING')
  expect((await submit(silent.token, { parent_job_id: offered })).status).toBe(200)
  expect((await submit(other.token, { parent_job_id: offered })).status).toBe(403)
  await silent.close()
})

test('what an ended job’s worker still submits goes below it, and a retry keeps its parent', async () => {
  const child = (await submit(holder.token, { parent_job_id: parent }, 'job.parent')).body.job_id
  await expect.poll(() => holder.taken.map(({ request }) => request.jobId)).toContain(child)
  const failed = create(JobResultSchema, { jobId: child, workerId: 'w-holder', status: JobStatus.FAILED })
  holder.send('sys.job.result', { case: 'jobResult', value: failed })
  expect((await world.call('POST', `/api/v1/jobs/${parent}/cancel`)).status).toBe(200)
  expect((await submit(holder.token, { parent_job_id: parent })).status).toBe(200)
  expect((await submit(other.token, { parent_job_id: parent })).status).toBe(403)
  await expect.poll(async () => (await world.call('GET', `/api/v1/jobs/${child}`)).body.state).toBe('FAILED')
  const { kernel, a } = world
  await kernel.db.tenant(a.id, (tx) =>
    tx.run(sql`insert into roles (tenant_id, name, patterns) values (${a.id}, 'keeper', '{dlq:*}')`),
  )
  const keeper = await world.person(a, 'keeper', 'keeper')
  const again = await world.call('POST', `/api/v1/dlq/${child}/retry`, { as: keeper })
  expect(again.status).toBe(200)
  const retried = await kernel.db.tenant(a.id, (tx) =>
    tx.one(sql`select parent_id as parent from jobs where id = ${again.body.job_id}`),
  )
  expect(retried).toEqual({ parent })
})
