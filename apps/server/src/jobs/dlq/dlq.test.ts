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
    topics: ['job.fail', 'job.again'],
    work: ({ topic, attempt, labels }) =>
      topic === 'job.again' && labels['retry'] === 'true'
        ? { attempt }
        : {
            attempt,
            status: JobStatus[(labels['as'] ?? 'FAILED') as 'FAILED'],
            errorCode: 'worker_crash',
            errorMessage: 'boom',
          },
  })
  worker.heartbeat({ capabilities: ['job.fail', 'job.again'], labels: { retry: 'never' } })
})
afterAll(async () => {
  await worker.close()
  await world.close()
})

const submit = async (body: object): Promise<string> =>
  (await world.call('POST', '/api/v1/jobs', { body: { prompt: 'x', ...body } })).body.job_id
const ended = (id: string) => world.kernel.jobs.wait(world.a.id, id, 15_000)
const letters = (id: string) =>
  world.kernel.db.tenant(world.a.id, (tx) =>
    tx.many<{ status: string; reason_code: string; last_state: string }>(
      sql`select status, reason_code, last_state from dead_letters where job_id = ${id}`,
    ),
  )

test('a failed job has one entry, which a retry turns into the same request under a new id', async () => {
  const id = await submit({
    topic: 'job.again',
    priority: 'batch',
    capability: 'cap',
    risk_tags: ['network'],
    labels: { team: 'x' },
    context: { n: 1 },
  })
  await ended(id)
  expect(await letters(id)).toEqual([
    { status: 'JOB_STATUS_FAILED', reason_code: 'worker_crash', last_state: 'RUNNING' },
  ])
  const { status, body } = await world.call('POST', `/api/v1/dlq/${id}/retry`, { as: world.a.keys.operator })
  expect(status).toBe(200)
  expect(body.job_id).toMatch(new RegExp(`^${id}-retry-[0-9a-f]{8}$`))
  // The label `retry`, which a worker happens to advertise with another value, does not place the job.
  expect(await ended(body.job_id)).toMatchObject({ kind: 'succeeded' })
  const job = (await world.call('GET', `/api/v1/jobs/${body.job_id}`)).body
  expect(job).toMatchObject({
    trace_id: `dlq-retry-${id}`,
    capability: 'cap',
    risk_tags: ['network'],
    labels: { team: 'x', retry: 'true', dlq_entry: id, retry_of_job: id },
    context: { context: { n: 1 } },
    context_ptr: `redis://ctx:${body.job_id}`,
  })
  expect(await letters(id)).toEqual([])
  expect((await world.call('POST', `/api/v1/dlq/${id}/retry`)).body).toMatchObject({
    error: 'dlq entry not found',
    status: 404,
  })
})

test('pages follow one another without gap or repeat, also within one microsecond, and filter by reason', async () => {
  await world.kernel.db.tenant(world.b.id, async (tx) => {
    for (let i = 0; i < 9; i += 1)
      await tx.run(sql`
        insert into dead_letters (tenant_id, job_id, topic, status, reason_code, created_at, us)
        values (${world.b.id}, ${`d${i}`}, 'job.x', 'JOB_STATUS_FAILED', ${i % 3 === 0 ? 'timeout' : 'other'}, now(), ${1_700_000_000_000_000 + Math.floor(i / 3)})`)
  })
  const as = world.b.keys.operator
  const seen: string[] = []
  let cursor: number | null = null
  do {
    const page: { items: { job_id: string }[]; next_cursor: number | null } = (
      await world.call('GET', `/api/v1/dlq/page?limit=2${cursor === null ? '' : `&cursor=${cursor}`}`, { as })
    ).body
    seen.push(...page.items.map(({ job_id }) => job_id))
    cursor = page.next_cursor
  } while (cursor !== null)
  expect(seen).toEqual(['d6', 'd7', 'd8', 'd3', 'd4', 'd5', 'd0', 'd1', 'd2'])
  const timeouts = await world.call('GET', '/api/v1/dlq?reason_code=timeout', { as })
  expect(timeouts.body.map(({ job_id }: { job_id: string }) => job_id)).toEqual(['d6', 'd3', 'd0'])
  // As the document has it, a cursor may also be a time in seconds.
  expect((await world.call('GET', '/api/v1/dlq/page?cursor=1600000000', { as })).body.items).toEqual([])
})

test('deleting an entry leaves the job, and is repeatable', async () => {
  const id = await submit({ topic: 'job.fail' })
  await ended(id)
  for (let i = 0; i < 2; i += 1) expect((await world.call('DELETE', `/api/v1/dlq/${id}`)).status).toBe(204)
  expect((await world.call('GET', `/api/v1/jobs/${id}`)).body).toMatchObject({
    state: 'FAILED',
    result_ptr: `redis://res:${id}`,
    result: { job_id: id, status: 'JOB_STATUS_FAILED', error: { message: 'boom' }, processed_by: 'cordum-scheduler' },
  })
  const memory = await world.call('GET', `/api/v1/memory?key=res:${id}`, { as: world.a.keys.operator })
  expect(memory.body.json).toMatchObject({ job_id: id, error: { code: 'worker_crash' } })
})

test('every way to end without success leaves exactly one entry, and cancelling none', async () => {
  await world.publish(
    'secops/dlq',
    `version: "1"\nrules:\n  - {id: no, match: {topics: [job.no]}, decision: deny, reason: never}\n  - {id: ask, match: {topics: [job.ask]}, decision: require_approval, approval: {allow_self: true}}\n`,
  )
  const ask = await submit({ topic: 'job.ask' })
  await world.call('POST', `/api/v1/approvals/${ask}/reject`, { body: { reason: 'not today' } })
  const expected = {
    [ask]: { status: 'JOB_STATUS_DENIED', reason_code: 'approval_rejected', last_state: 'APPROVAL_REQUIRED' },
    [await submit({ topic: 'job.no' })]: {
      status: 'JOB_STATUS_DENIED',
      reason_code: 'safety_denied',
      last_state: 'PENDING',
    },
    [await submit({ topic: 'job.nobody', deadline_ms: 1 })]: {
      status: 'JOB_STATUS_TIMEOUT',
      reason_code: 'timeout',
      last_state: 'PENDING',
    },
    [await submit({ topic: 'job.fail', labels: { as: 'TIMEOUT' } })]: {
      status: 'JOB_STATUS_TIMEOUT',
      reason_code: 'worker_crash',
      last_state: 'RUNNING',
    },
    [await submit({ topic: 'job.fail', labels: { as: 'DENIED' } })]: {
      status: 'JOB_STATUS_DENIED',
      reason_code: 'worker_crash',
      last_state: 'RUNNING',
    },
    [await submit({ topic: 'job.fail', labels: { as: 'CANCELLED' } })]: {
      status: 'JOB_STATUS_CANCELLED',
      reason_code: 'worker_crash',
      last_state: 'RUNNING',
    },
  }
  for (const [id, letter] of Object.entries(expected)) {
    await ended(id)
    expect(await letters(id), letter.reason_code).toEqual([letter])
  }
  const cancelled = await submit({ topic: 'job.nobody' })
  await world.call('POST', `/api/v1/jobs/${cancelled}/cancel`)
  expect(await letters(cancelled)).toEqual([])
})

test('two retries of one entry at once submit one job', async () => {
  const id = await submit({ topic: 'job.fail' })
  await ended(id)
  const both = await Promise.all([1, 2].map(() => world.call('POST', `/api/v1/dlq/${id}/retry`)))
  const ids = new Set(both.flatMap(({ body }) => body.job_id ?? []))
  expect(ids.size).toBe(1)
})
