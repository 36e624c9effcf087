import { JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { Fault } from '@wheelhouse/contract'
import pg from 'pg'
import { Type } from 'typebox'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { capWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { sql } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'
import type { JobSignal } from './jobs.ts'
import type { JobRequest } from './request.ts'
import type { Run, Verb } from './verb.ts'

let world: World
let alice: Principal
const settled: { jobId: string; kind: string }[] = []
let behave: (run: Run<{ n: number }>) => Promise<{ twice: number }> = async ({ input }) => ({ twice: input.n * 2 })

const Doubling = Type.Object({ n: Type.Integer() })
const Doubled = Type.Object({ twice: Type.Integer() })
const double: Verb<typeof Doubling, typeof Doubled> = {
  name: 'number:double',
  topic: 'job.wh.test.number.double',
  input: Doubling,
  output: Doubled,
  risk: ['read'],
  timeoutMs: 20_000,
  maxAttempts: 3,
  facts: async (_tx, { n }) => ({ n }),
  perform: (run) => behave(run),
  async settle(_tx, jobId, _input, end) {
    settled.push({ jobId, kind: end.kind })
  },
}

beforeAll(async () => {
  world = await openWorld()
  world.kernel.jobs.register(double)
  alice = await world.principal(world.a.keys.admin)
})
afterAll(() => world.close())

const request = (topic: string, more: Partial<JobRequest> = {}): JobRequest => ({
  topic,
  tenant: alice.tenantSlug,
  principalId: 'alice',
  ...more,
})
const submit = (topic: string, more: Partial<JobRequest> = {}, key?: string) =>
  world.kernel.jobs.submitBatched(alice, {
    request: request(topic, more),
    context: '{"prompt":"hello"}',
    ...(key === undefined ? {} : { key }),
  })
const wait = (jobId: string, ms = 10_000) => world.kernel.jobs.wait(alice.tenantId, jobId, ms)

test('a verb runs in the server and settles its rows with its end', async () => {
  const done = await world.kernel.jobs.submitAndWait(alice, double, { n: 21 }, { waitMs: 10_000 })
  expect(done).toMatchObject({ state: 'ended', end: { kind: 'succeeded', output: { twice: 42 } } })
  expect(settled).toContainEqual({ jobId: done.jobId, kind: 'succeeded' })
})

test('input that does not fit the verb is refused before anything is written', async () => {
  await expect(
    world.kernel.jobs.submitAndWait(alice, double, { n: 'x' as unknown as number }, { waitMs: 10 }),
  ).rejects.toMatchObject({ code: 'VAL_SCHEMA' })
})

test('what another side refuses for a moment is tried again under the same key', async () => {
  const tries: { attempt: number; key: string }[] = []
  behave = async ({ attempt, key, input }) => {
    tries.push({ attempt, key })
    if (attempt === 1) throw new Fault('EGRESS_FAILED', {}, { retryAfterMs: 10 })
    return { twice: input.n * 2 }
  }
  const done = await world.kernel.jobs.submitAndWait(alice, double, { n: 1 }, { waitMs: 15_000 })
  expect(done).toMatchObject({ state: 'ended', end: { kind: 'succeeded' } })
  expect(tries.map(({ attempt }) => attempt)).toEqual([1, 2])
  expect(new Set(tries.map(({ key }) => key)).size).toBe(1)
})

test('output is heard live and kept with the job in its order', async () => {
  let go = (): void => {}
  const gate = new Promise<void>((resolve) => (go = resolve))
  behave = async (run) => {
    await gate
    run.output('stdout', 'one')
    run.output('stderr', 'two')
    run.progress({ percent: 50, message: 'half' })
    return { twice: 0 }
  }
  const { jobId } = await world.kernel.jobs.submitAndWait(alice, double, { n: 1 }, { waitMs: 1 })
  const heard: JobSignal[] = []
  const leave = world.kernel.jobs.watch(alice.tenantId, jobId, (signal) => heard.push(signal))
  go()
  await wait(jobId)
  leave()
  expect(heard.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['output', 'progress', 'ended']))
  const { chunks, truncated } = await world.kernel.jobs.output(alice.tenantId, jobId)
  expect(chunks.map(({ seq, stream, chunk }) => [seq, stream, chunk])).toEqual([
    [1, 'stdout', 'one'],
    [2, 'stderr', 'two'],
  ])
  expect(truncated).toBe(false)
})

test('a running verb hears of its cancel, and its job ends at once', async () => {
  let aborted = false
  behave = (run) =>
    new Promise((_, reject) =>
      run.signal.addEventListener('abort', () => {
        aborted = true
        reject(run.signal.reason as Error)
      }),
    )
  const { jobId } = await world.kernel.jobs.submitAndWait(alice, double, { n: 1 }, { waitMs: 300 })
  const { changed } = await world.kernel.db.tenant(alice.tenantId, (tx) =>
    world.kernel.jobs.cancel(tx, alice, jobId, 'enough'),
  )
  expect(changed).toBe(true)
  expect(await wait(jobId)).toMatchObject({ kind: 'cancelled', message: 'enough' })
  await expect.poll(() => aborted).toBe(true)
  const again = await world.kernel.db.tenant(alice.tenantId, (tx) => world.kernel.jobs.cancel(tx, alice, jobId, 'x'))
  expect(again).toEqual({ state: 'cancelled', changed: false })
})

test('a verb that is over time ends as timed out', async () => {
  behave = (run) =>
    new Promise((_, reject) => run.signal.addEventListener('abort', () => reject(run.signal.reason as Error)))
  const done = await world.kernel.jobs.submitAndWait(alice, double, { n: 1 }, { waitMs: 10_000, timeoutMs: 200 })
  expect(done).toMatchObject({ state: 'ended', end: { kind: 'timed_out', code: 'timeout' } })
})

test('a job waits for its worker, is sent to it directly, and ends with its result', async () => {
  const { jobId } = await submit('job.default')
  const worker = await capWorker(world, world.a, {
    id: 'w1',
    work: (job) => ({ attempt: job.attempt, resultPtr: 'redis://art:x' }),
  })
  worker.heartbeat()
  expect(await wait(jobId)).toMatchObject({ kind: 'succeeded', output: { resultPtr: 'redis://art:x' } })
  expect(worker.taken.map(({ subject }) => subject)).toEqual(['worker.w1.jobs'])
  expect(worker.taken[0]?.request).toMatchObject({
    jobId,
    topic: 'job.default',
    contextPtr: `redis://ctx:${jobId}`,
    tenantId: world.a.slug,
  })
  await worker.close()
})

test('a topic is served by whoever subscribes to it, one of a queue group', async () => {
  const work = () => ({})
  const one = await capWorker(world, world.a, { id: 'q1', topics: ['job.echo'], direct: false, work })
  const two = await capWorker(world, world.a, { id: 'q2', topics: ['job.echo'], direct: false, work })
  const jobs = await Promise.all(Array.from({ length: 40 }, () => submit('job.echo')))
  const ends = await Promise.all(jobs.map(({ jobId }) => wait(jobId, 20_000)))
  expect(ends.every((end) => end?.kind === 'succeeded')).toBe(true)
  expect(one.taken.length + two.taken.length).toBe(40)
  await one.close()
  await two.close()
})

test('a failing result ends the job as failed with a dead letter, and later results change nothing', async () => {
  const worker = await capWorker(world, world.a, {
    id: 'f1',
    topics: ['job.fail'],
    work: () => ({ status: JobStatus.FAILED, errorCode: 'worker_crash', errorMessage: 'boom' }),
  })
  const { jobId } = await submit('job.fail')
  expect(await wait(jobId)).toMatchObject({ kind: 'failed', code: 'worker_crash', message: 'boom' })
  worker.send('sys.job.result', { case: 'jobResult', value: { jobId, workerId: 'f1', status: JobStatus.SUCCEEDED } })
  await worker.connection.flush()
  const letter = await world.kernel.db.tenant(alice.tenantId, (tx) =>
    tx.one(sql`select status, reason, reason_code from dead_letters where job_id = ${jobId}`),
  )
  expect(letter).toEqual({ status: 'JOB_STATUS_FAILED', reason: 'boom', reason_code: 'worker_crash' })
  expect(await wait(jobId)).toMatchObject({ kind: 'failed' })
  await worker.close()
})

test('a result counts only from the account of the claim and, when it names one, for that claim', async () => {
  const mine = await capWorker(world, world.a, { id: 'm1', topics: ['job.slow'] })
  const foreign = await capWorker(world, world.b, { id: 'm1' })
  const { jobId } = await submit('job.slow')
  await expect.poll(() => mine.taken.length).toBe(1)
  const attempt = mine.taken[0]?.request.attempt ?? 0
  foreign.send('sys.job.result', { case: 'jobResult', value: { jobId, status: JobStatus.SUCCEEDED, attempt } })
  mine.send('sys.job.result', { case: 'jobResult', value: { jobId, status: JobStatus.FAILED, attempt: attempt + 1 } })
  await foreign.connection.flush()
  await mine.connection.flush()
  expect(await wait(jobId, 500)).toBeUndefined()
  mine.send('sys.job.result', { case: 'jobResult', value: { jobId, status: JobStatus.SUCCEEDED, attempt } })
  expect(await wait(jobId)).toMatchObject({ kind: 'succeeded' })
  await mine.close()
  await foreign.close()
})

test('a worker hears of the cancel of its job', async () => {
  const worker = await capWorker(world, world.a, { id: 'c1', topics: ['job.long'] })
  const { jobId } = await submit('job.long')
  await expect.poll(() => worker.taken.length).toBe(1)
  await world.kernel.db.tenant(alice.tenantId, (tx) => world.kernel.jobs.cancel(tx, alice, jobId, 'stop it'))
  await expect.poll(() => worker.cancels).toHaveLength(1)
  expect(worker.cancels[0]).toMatchObject({ jobId, reason: 'stop it' })
  await expect
    .poll(() =>
      world.kernel.db.tenant(alice.tenantId, (tx) => tx.maybe(sql`select 1 from job_queue where id = ${jobId}`)),
    )
    .toBeUndefined()
  await worker.close()
})

test('a job that is cancelled between its claim and its sending goes to no worker', async () => {
  const worker = await capWorker(world, world.a, { id: 'o1', topics: ['job.overtaken'] })
  worker.heartbeat({ capabilities: ['job.overtaken'], maxParallelJobs: 1 })
  await expect
    .poll(() => world.kernel.jobs.workers.live(alice.tenantId).map(({ workerId }) => workerId))
    .toContain('o1')
  const first = await submit('job.overtaken')
  await expect.poll(() => worker.taken).toHaveLength(1)
  const { jobId } = await submit('job.overtaken')
  // A policy that changed since is asked again at dispatch; the look at the decision waits for this lock.
  await world.publish('secops/overtaken', 'rules: []')
  const blocker = new pg.Client({ connectionString: world.databaseUrl })
  await blocker.connect()
  try {
    await blocker.query('begin; lock table decisions in access exclusive mode')
    worker.send('sys.job.result', { case: 'jobResult', value: { jobId: first.jobId, status: JobStatus.SUCCEEDED } })
    await expect
      .poll(() =>
        world.kernel.db.tenant(alice.tenantId, (tx) =>
          tx.maybe(sql`select fence from job_queue where id = ${jobId} and state = 'leased'`),
        ),
      )
      .toEqual({ fence: 1 })
    expect(worker.taken).toHaveLength(1)
    await world.kernel.db.tenant(alice.tenantId, (tx) => world.kernel.jobs.cancel(tx, alice, jobId, 'too late'))
    // The sweep may tell it again.
    await expect.poll(() => worker.cancels.map(({ jobId: id }) => id)).toContain(jobId)
  } finally {
    // Whoever waits for the lock goes on.
    await blocker.end()
  }
  const { jobId: next } = await submit('job.overtaken')
  await expect.poll(() => worker.taken.map(({ request: { jobId: id } }) => id)).toEqual([first.jobId, next])
  await worker.close()
})

test('an idempotency key gives the first job again, and refuses another request', async () => {
  const first = await submit('job.keyed', {}, 'k1')
  expect(await submit('job.keyed', {}, 'k1')).toMatchObject({ jobId: first.jobId, replayed: true })
  await expect(submit('job.other', {}, 'k1')).rejects.toMatchObject({ code: 'RES_IDEMPOTENCY_CONFLICT' })
  const together = await Promise.all(Array.from({ length: 20 }, () => submit('job.keyed', {}, 'k2')))
  expect(new Set(together.map(({ jobId }) => jobId)).size).toBe(1)
})

test('a service submits over the bus with its own credential', async () => {
  const worker = await capWorker(world, world.a, { id: 's1', topics: ['job.bus'], work: () => ({}) })
  worker.send('sys.job.submit', {
    case: 'jobRequest',
    value: { jobId: 'from-the-bus', topic: 'job.bus', tenantId: 'someone-else', contextPtr: 's3://bucket/x' },
  })
  await expect
    .poll(() =>
      world.kernel.db.tenant(alice.tenantId, (tx) => tx.maybe(sql`select state from jobs where id = 'from-the-bus'`)),
    )
    .toEqual({ state: 'succeeded' })
  expect(worker.taken[0]?.request).toMatchObject({ contextPtr: 's3://bucket/x', tenantId: world.a.slug })
  await worker.close()
})

test('five hundred jobs at once are written in few statements and all end', async () => {
  const worker = await capWorker(world, world.a, { id: 'many', topics: ['job.many'], work: () => ({}) })
  const started = performance.now()
  const jobs = await Promise.all(Array.from({ length: 500 }, () => submit('job.many')))
  const ends = await Promise.all(jobs.map(({ jobId }) => wait(jobId, 25_000)))
  expect(ends.every((end) => end?.kind === 'succeeded')).toBe(true)
  expect(performance.now() - started).toBeLessThan(25_000)
  await worker.close()
})

test('every submission leaves one event and one audit row, every end one event', async () => {
  const { jobId } = await submit('job.nobody')
  await world.kernel.db.tenant(alice.tenantId, (tx) => world.kernel.jobs.cancel(tx, alice, jobId, 'x'))
  await world.kernel.events.settled(alice.tenantId)
  const rows = await world.kernel.db.tenant(alice.tenantId, (tx) =>
    tx.many(sql`
      select type as what from events where resource_id = ${jobId}
      union all select verb from audit where resource_id = ${jobId} order by what`),
  )
  expect(rows).toEqual([{ what: 'job.cancelled' }, { what: 'job.submit' }, { what: 'job.submitted' }])
})
