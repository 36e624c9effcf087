import { create } from '@bufbuild/protobuf'
import type { JobRequest } from '@wheelhouse/contract/proto/cap_pb'
import { JobProgressSchema, JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sql } from '../../kernel/db/index.ts'
import { capWorker, type CapWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
let worker: CapWorker
let go: () => void = () => {}
const rules = `version: "1"
rules:
  - {id: ask, match: {topics: [job.ask]}, decision: require_approval, reason: needs a look}
  - {id: slow-down, match: {topics: [job.throttled]}, decision: throttle, reason: too many}
  - {id: never, match: {topics: [job.no]}, decision: deny, reason: not here}
`

beforeAll(async () => {
  world = await openWorld()
  await world.publish('secops/why', rules)
  worker = await capWorker(world, world.a, {
    id: 'w1',
    async work({ topic, attempt }: JobRequest) {
      if (topic === 'job.fail')
        return { attempt, status: JobStatus.FAILED, errorCode: 'boom', errorMessage: 'it broke' }
      await new Promise<void>((resolve) => (go = resolve))
      return { attempt }
    },
  })
  worker.heartbeat({ capabilities: ['job.work', 'job.fail'], maxParallelJobs: 1, labels: { gpu: 'a100' } })
})
afterAll(async () => {
  go()
  await worker.close()
  await world.close()
})

const submit = async (topic: string, labels: object = {}): Promise<string> =>
  (await world.call('POST', '/api/v1/jobs', { body: { prompt: 'x', topic, labels } })).body.job_id
const why = async (id: string) =>
  (await world.call('GET', `/wheelhouse/api/v1/jobs/${id}/why`, { as: world.a.keys.viewer })).body
const post = (path: string, body: object = {}) =>
  world.call('POST', `/wheelhouse/api/v1/${path}`, { as: world.a.keys.operator, body })
/** What it waits for, once it waits for that. */
const waits = async (id: string, kind: string) => {
  await expect.poll(async () => (await why(id)).waitsFor[0]?.kind).toBe(kind)
  return why(id)
}

test('a held job names its rule, who may decide and who may not', async () => {
  const told = await waits(await submit('job.ask'), 'approval')
  expect(told).toMatchObject({
    state: 'APPROVAL_REQUIRED',
    ended: false,
    summary: 'Held for approval by rule “ask”: needs a look.',
    waitsFor: [{ clears: expect.stringMatching(/^One person with .* approves it\. .*, who asked, may not\.$/) }],
  })
  expect(told.waitsFor[0].ref).toMatchObject({ kind: 'approval', href: '/inbox' })
})

test('throttled and denied jobs name the rule', async () => {
  expect(await waits(await submit('job.throttled'), 'throttle')).toMatchObject({
    summary: 'Throttled by rule “slow-down”: too many.',
    waitsFor: [{ until: expect.any(String) }],
  })
  expect(await why(await submit('job.no'))).toMatchObject({
    state: 'DENIED',
    ended: true,
    summary: 'Policy denied it by rule “never”: not here.',
    waitsFor: [],
  })
})

test('without a worker it says what nobody offers: the topic, or a label', async () => {
  const summary = async (id: string) => (await why(id)).summary
  const unknown = await submit('job.unknown')
  // It was offered to whoever listens without a word: nobody did.
  await expect.poll(() => summary(unknown)).toContain('No worker announces topic “job.unknown”')
  const wrong = await submit('job.work', { gpu: 'h100' })
  await expect.poll(() => summary(wrong)).toBe('None of 1 workers has the label “gpu=h100”.')
  await world.call('POST', `/api/v1/jobs/${wrong}/cancel`)
})

test('a running job names its worker; those behind it the busy one, then their turn; text says the same', async () => {
  const running = await submit('job.work')
  expect(await waits(running, 'running')).toMatchObject({
    state: 'RUNNING',
    summary: 'It runs on worker “w1”.',
    waitsFor: [{ ref: { kind: 'worker', id: 'w1' }, until: expect.any(String) }],
  })
  const behind = await submit('job.work')
  expect((await waits(behind, 'capacity')).summary).toBe('Worker “w1”, the only one that fits, is busy.')
  const text = await world.call('GET', `/wheelhouse/api/v1/jobs/${behind}/why`, { headers: { accept: 'text/plain' } })
  expect(text.headers.get('content-type')).toContain('text/plain')
  expect(text.body).toMatch(
    new RegExp(`^${behind} is PENDING since .*\\n- Worker “w1”, the only one that fits, is busy\\.`),
  )
  await post('workers/w1/drain', { reason: 'upgrade' })
  expect((await waits(behind, 'draining')).summary).toBe('Worker “w1” is draining (operator: upgrade).')
  await post('queues/topic/job.work/pause')
  expect((await waits(behind, 'paused')).waitsFor[0]).toMatchObject({
    text: 'Topic “job.work” is paused by operator.',
    ref: { kind: 'queue', id: 'topic:job.work' },
  })
  await post('queues/topic/job.work/resume')
  await post('workers/w1/undrain')
  go()
  expect(await world.kernel.jobs.wait(world.a.id, running, 10_000)).toMatchObject({ kind: 'succeeded' })
  await waits(behind, 'running')
  go()
  await world.kernel.jobs.wait(world.a.id, behind, 10_000)
  expect(await why(behind)).toMatchObject({ state: 'SUCCEEDED', summary: 'It succeeded.' })
})

test('a job that silent subscribers were offered does not run before one of them has spoken', async () => {
  const quiet = await Promise.all(
    ['q1', 'q2'].map((id) => capWorker(world, world.a, { id, topics: ['job.quiet'], direct: false })),
  )
  const id = await submit('job.quiet')
  await waits(id, 'offered')
  await expect.poll(() => quiet.flatMap(({ taken }) => taken).length).toBe(1)
  const offered = await why(id)
  expect(offered).toMatchObject({
    state: 'DISPATCHED',
    summary: 'It was offered to 2 subscribers of topic “job.quiet”, and nobody has said yet that they took it.',
    waitsFor: [{ since: expect.any(String), until: expect.any(String), clears: expect.stringContaining('job.quiet') }],
  })
  const text = await world.call('GET', `/wheelhouse/api/v1/jobs/${id}/why`, { headers: { accept: 'text/plain' } })
  expect(text.body).toMatch(
    new RegExp(
      `^${id} is DISPATCHED since .*\\n- It was offered to 2 subscribers of topic “job\\.quiet”.*\\n  since .*\\n  until .*\\n  clears: `,
    ),
  )
  const [taker] = quiet.filter(({ taken }) => taken.length > 0)
  const value = create(JobProgressSchema, { jobId: id, percent: 10, status: JobStatus.RUNNING })
  taker?.send('sys.job.progress', { case: 'jobProgress', value })
  expect(await waits(id, 'running')).toMatchObject({
    state: 'RUNNING',
    summary: 'It runs with a worker of its topic.',
  })
  // What was said about an earlier claim says nothing about this one.
  await world.kernel.db.tenant(world.a.id, (tx) => tx.run(sql`update job_queue set fence = fence + 1 where id = ${id}`))
  await waits(id, 'offered')
  for (const each of quiet) await each.close()
  await expect.poll(async () => (await why(id)).summary).toContain('nobody listens there now')
})

test('a failed job tells its code and message; one that is not there is a 404', async () => {
  const id = await submit('job.fail')
  await world.kernel.jobs.wait(world.a.id, id, 10_000)
  expect((await why(id)).summary).toBe('It failed (boom): it broke.')
  const missing = await world.call('GET', '/wheelhouse/api/v1/jobs/nothing/why')
  expect(missing).toMatchObject({ status: 404, body: { code: 'JOB_NOT_FOUND' } })
})

test('jobs of a frozen principal say whose thaw they wait for', async () => {
  const id = await submit('job.unknown')
  const key = await world.principal(world.a.keys.admin)
  await world.kernel.identity.freezePrincipal(world.a.id, key.id)
  await expect.poll(async () => (await why(id)).waitsFor[0]?.kind).toBe('principal')
  expect((await why(id)).summary).toContain('“admin”')
  await world.kernel.identity.thawPrincipal(world.a.id, key.id)
})
