import { JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { capWorker, type CapWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
let worker: CapWorker
let bob: string

beforeAll(async () => {
  world = await openWorld()
  worker = await capWorker(world, world.a, {
    id: 'w1',
    topics: ['job.echo', 'job.fail', 'job.blob'],
    async work(job) {
      const ask = { as: worker.token }
      if (job.topic === 'job.fail') return { status: JobStatus.FAILED, errorCode: 'broken', errorMessage: 'it broke' }
      const memory = await world.call('GET', `/api/v1/memory?ptr=${encodeURIComponent(job.contextPtr)}`, ask)
      const content = JSON.stringify({ heard: memory.body.json.prompt })
      const made = await world.call('POST', '/api/v1/artifacts', {
        ...ask,
        body: { content, content_type: 'application/json' },
      })
      return { resultPtr: made.body.artifact_ptr, executionMs: 5n }
    },
  })
  bob = await world.person(world.a, 'bob')
  await world.publish(
    'secops/test',
    `version: "1"
rules:
  - {id: ask, match: {topics: [job.held]}, decision: require_approval, reason: needs a look}
  - id: no
    match: {topics: [job.denied]}
    decision: deny
    reason: not allowed
    remediations: [{id: softer, title: Do it softly, replacement_topic: job.echo, add_labels: {soft: "yes"}}]
  - {id: limits, match: {topics: [job.limited]}, decision: allow, constraints: {budgets: {max_runtime_ms: 1000}}}
`,
  )
})
afterAll(async () => {
  await worker.close()
  await world.close()
})

const post = (path: string, body: unknown = {}, as?: string) =>
  world.call('POST', path, { body, ...(as === undefined ? {} : { as }) })
const submit = async (body: Record<string, unknown>): Promise<{ job_id: string; trace_id: string }> => {
  const answer = await post('/api/v1/jobs', { prompt: 'hello', ...body })
  expect(answer).toMatchObject({ status: 200, body: { job_id: expect.any(String), trace_id: expect.any(String) } })
  return answer.body
}
const get = async (id: string) => (await world.call('GET', `/api/v1/jobs/${id}`)).body
const ended = (id: string, state: string) =>
  expect.poll(async () => (await get(id)).state, { timeout: 10_000 }).toBe(state)

test('a worker made of plain NATS reads its input through a pointer, and its result is shown with the job', async () => {
  const { job_id: id, trace_id } = await submit({
    topic: 'job.echo',
    context: { a: 1 },
    labels: { team: 'blue' },
    team_id: 'core',
  })
  await ended(id, 'SUCCEEDED')
  const job = await get(id)
  expect(job).toMatchObject({
    id,
    trace_id,
    topic: 'job.echo',
    tenant: world.a.slug,
    context_ptr: `redis://ctx:${id}`,
    context: { prompt: 'hello', topic: 'job.echo', context: { a: 1 } },
    result: { heard: 'hello' },
    result_ptr: expect.stringMatching(/^redis:\/\/art:/),
    safety_decision: 'ALLOW',
    attempts: 1,
    labels: { team: 'blue' },
  })
  expect(job.error_message).toBeUndefined()
})

test('a failed job tells what its dead letter holds', async () => {
  const { job_id: id } = await submit({ topic: 'job.fail' })
  await ended(id, 'FAILED')
  expect(await get(id)).toMatchObject({
    error_message: 'it broke',
    error_code: 'broken',
    error_status: 'JOB_STATUS_FAILED',
    last_state: 'RUNNING',
    // §26: a document that says so stands behind its pointer.
    result: { job_id: id, status: 'JOB_STATUS_FAILED' },
  })
})

test.each([
  [{ prompt: undefined }, 'prompt is required'],
  [{ prompt: 'x'.repeat(100_001) }, 'prompt too long (>100000 chars)'],
  [{ topic: 'mail.send' }, 'topic must start with job.'],
  [{ max_input_tokens: -1 }, 'token limits must be non-negative'],
  [{ deadline_ms: -5 }, 'deadline_ms must be non-negative'],
  [{ actor_type: 'robot' }, "actor_type must be 'human' or 'service'"],
  [{ tags: Array.from({ length: 51 }, () => 't') }, 'too many tags (max 50)'],
  [{ labels: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`l${i}`, 'x'])) }, 'too many labels (max 50)'],
])('a submit that is wrong is refused in the documented words: %#', async (body, text) => {
  const answer = await post('/api/v1/jobs', { prompt: 'hello', ...body })
  expect(answer).toMatchObject({ status: 400, body: { error: text, status: 400 } })
})

test('another tenant’s name in the body is refused, and another tenant sees nothing of a job', async () => {
  expect(await post('/api/v1/jobs', { prompt: 'x', org_id: world.b.slug })).toMatchObject({
    status: 403,
    body: { error: 'tenant access denied' },
  })
  const { job_id: id } = await submit({ topic: 'job.nobody' })
  for (const path of [`/api/v1/jobs/${id}`, `/api/v1/jobs/${id}/cancel`])
    expect((await world.call(path.endsWith('cancel') ? 'POST' : 'GET', path, { as: world.b.keys.admin })).status).toBe(
      404,
    )
  await post(`/api/v1/jobs/${id}/cancel`)
})

test('the same idempotency key, by header or body, gives the first job again', async () => {
  const first = await submit({ topic: 'job.nobody', idempotency_key: 'once' })
  const again = await world.call('POST', '/api/v1/jobs', {
    body: { prompt: 'hello', topic: 'job.nobody' },
    headers: { 'idempotency-key': 'once' },
  })
  expect(again).toMatchObject({ status: 200, body: { job_id: first.job_id, trace_id: first.trace_id } })
  const other = await post('/api/v1/jobs', { prompt: 'different', topic: 'job.nobody', idempotency_key: 'once' })
  expect(other).toMatchObject({ status: 409, body: { error: 'idempotency key already used' } })
  await post(`/api/v1/jobs/${first.job_id}/cancel`)
})

test('secret references mark the job for policy', async () => {
  const { job_id: id } = await submit({ topic: 'job.nobody', context: { deep: [' secret://db/password'] } })
  expect(await get(id)).toMatchObject({ risk_tags: ['secrets'], labels: { secrets_present: 'true' } })
  await post(`/api/v1/jobs/${id}/cancel`)
})

test('a denied job is accepted, recorded with its rule, and remediated as policy proposes', async () => {
  const { job_id: id, trace_id } = await submit({ topic: 'job.denied' })
  expect(await get(id)).toMatchObject({
    state: 'DENIED',
    safety_decision: 'DENY',
    safety_rule_id: 'no',
    safety_reason: 'not allowed',
    safety_remediations: [
      { id: 'softer', title: 'Do it softly', replacement_topic: 'job.echo', add_labels: { soft: 'yes' } },
    ],
    error_code: 'safety_denied',
  })
  expect(await post(`/api/v1/jobs/${id}/remediate`, { remediation_id: 'none' })).toMatchObject({
    status: 404,
    body: { error: 'remediation not found' },
  })
  const made = await post(`/api/v1/jobs/${id}/remediate`)
  expect(made).toMatchObject({ status: 200, body: { trace_id } })
  await ended(made.body.job_id, 'SUCCEEDED')
  expect(await get(made.body.job_id)).toMatchObject({
    topic: 'job.echo',
    labels: { soft: 'yes', remediation_of: id, remediation_id: 'softer' },
    context: { prompt: 'hello' },
  })
  const trace = (await world.call('GET', `/api/v1/traces/${trace_id}`)).body
  expect(trace.map((each: { job_id: string; parent_job_id?: string }) => [each.job_id, each.parent_job_id])).toEqual([
    [id, undefined],
    [made.body.job_id, id],
  ])
  expect((await world.call('GET', `/api/v1/traces/${trace_id}`, { as: world.b.keys.admin })).body).toEqual([])
})

test('a held job stands in the inbox and is approved by another person', async () => {
  const { job_id: id } = await submit({ topic: 'job.held' })
  expect(await get(id)).toMatchObject({ state: 'APPROVAL_REQUIRED', approval_required: true, approval_ref: id })
  const inbox = (await world.call('GET', '/api/v1/approvals')).body
  expect(inbox.items[0]).toMatchObject({
    job_id: id,
    job: { id, state: 'APPROVAL_REQUIRED' },
    decision: 'REQUIRE_APPROVAL',
    policy_rule_id: 'ask',
    policy_reason: 'needs a look',
    approval_required: true,
    required: 1,
    votes: 0,
    show: { topic: 'job.held', input: { prompt: 'hello' } },
  })
  expect((await post(`/api/v1/approvals/${id}/approve`)).status).toBe(403)
  expect((await post('/api/v1/approvals/no-such-job/approve', {}, bob)).status).toBe(404)
  expect(await post(`/api/v1/approvals/${id}/approve`, { reason: 'looks fine', note: 'n' }, bob)).toMatchObject({
    status: 200,
    body: { job_id: id, trace_id: expect.any(String) },
  })
  expect(await post(`/api/v1/approvals/${id}/approve`, {}, bob)).toMatchObject({
    status: 409,
    body: { error: 'job not awaiting approval', code: 'approval_not_actionable' },
  })
  expect(await get(id)).toMatchObject({
    approval_by: 'bob',
    approval_role: 'admin',
    approval_reason: 'looks fine',
    approval_note: 'n',
  })
  const decisions = (await world.call('GET', `/api/v1/jobs/${id}/decisions`)).body
  expect(decisions.map((each: { decision: string; reason: string }) => [each.decision, each.reason])).toEqual([
    ['ALLOW', 'approval granted'],
    ['REQUIRE_APPROVAL', 'needs a look'],
  ])
  await post(`/api/v1/jobs/${id}/cancel`)
})

test('a rejected job ends as denied', async () => {
  const { job_id: id } = await submit({ topic: 'job.held' })
  expect(await post(`/api/v1/approvals/${id}/reject`, { reason: 'no' }, bob)).toMatchObject({
    status: 200,
    body: { job_id: id },
  })
  expect(await get(id)).toMatchObject({ state: 'DENIED', error_code: 'approval_rejected', error_message: 'no' })
})

test('cancel ends a job once, and says so of one that has ended', async () => {
  const { job_id: id } = await submit({ topic: 'job.nobody' })
  expect((await post(`/api/v1/jobs/${id}/cancel`)).body).toEqual({ id, state: 'CANCELLED' })
  expect((await post(`/api/v1/jobs/${id}/cancel`)).body).toEqual({
    id,
    state: 'CANCELLED',
    reason: 'job already terminal',
  })
})

test('lists filter in the store and page to their end', async () => {
  const made = await Promise.all(Array.from({ length: 7 }, () => submit({ topic: 'job.listed' })))
  await post(`/api/v1/jobs/${made[0]?.job_id}/cancel`)
  const seen: string[] = []
  let cursor: number | null = null
  do {
    const page: { items: { id: string; updated_at: number }[]; next_cursor: number | null } = (
      await world.call('GET', `/api/v1/jobs?topic=job.listed&limit=3${cursor === null ? '' : `&cursor=${cursor}`}`)
    ).body
    seen.push(...page.items.map(({ id }) => id))
    cursor = page.next_cursor
  } while (cursor !== null)
  expect(new Set(seen)).toEqual(new Set(made.map(({ job_id }) => job_id)))
  expect(seen).toHaveLength(7)
  expect(seen[0]).toBe(made[0]?.job_id)
  const states = async (query: string) =>
    (await world.call('GET', `/api/v1/jobs?topic=job.listed&${query}`)).body.items.length
  expect(await states('state=cancelled')).toBe(1)
  // One of them at a time may be on its way to find out whether anybody listens.
  await vi.waitFor(async () => expect(await states('state=PENDING')).toBe(6))
  expect(await states('state=sleeping')).toBe(0)
  expect(await states('limit=nonsense')).toBe(7)
  expect(await states(`updated_before=${Math.floor(Date.now() / 1000) - 3600}`)).toBe(0)
  expect((await world.call('GET', `/api/v1/jobs?tenant=${world.b.slug}`)).status).toBe(403)
  for (const { job_id } of made) await post(`/api/v1/jobs/${job_id}/cancel`)
})

/** Frames of a socket, and the means to close it. */
async function listen(path: string, key: string) {
  const socket = new WebSocket(`${world.url.replace('http', 'ws')}${path}`, [
    'cordum-api-key',
    Buffer.from(key).toString('base64url'),
  ])
  // oxlint-disable-next-line typescript/no-explicit-any -- frames have every shape
  const frames: any[] = []
  let code = 0
  socket.on('message', (data) => frames.push(JSON.parse(String(data))))
  socket.on('close', (closed) => (code = closed))
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
    socket.once('unexpected-response', (_request, response) => reject(new Error(String(response.statusCode))))
  })
  return { frames, socket, code: () => code }
}

test('the stream shows what happens to a tenant’s jobs and workers in both forms, and nothing of another tenant', async () => {
  const mine = await listen('/api/v1/stream', world.a.keys.admin)
  const other = await listen('/api/v1/stream', world.b.keys.admin)
  expect(mine.socket.protocol).toBe('cordum-api-key')
  const { job_id: id } = await submit({ topic: 'job.echo' })
  worker.heartbeat()
  await expect.poll(() => mine.frames.some((frame) => frame.jobResult?.jobId === id), { timeout: 10_000 }).toBe(true)
  await expect.poll(() => mine.frames.some((frame) => frame.heartbeat?.workerId === 'w1')).toBe(true)
  const asked = mine.frames.find((frame) => frame.jobRequest?.jobId === id)
  expect(asked).toMatchObject({
    protocolVersion: 1,
    jobRequest: { topic: 'job.echo' },
    payload: { jobRequest: { jobId: id } },
  })
  expect(mine.frames.find((frame) => frame.jobResult?.jobId === id)).toMatchObject({
    jobResult: { status: 'JOB_STATUS_SUCCEEDED', workerId: 'w1', executionMs: '5' },
  })
  expect(other.frames).toEqual([])
  mine.socket.close()
  other.socket.close()
})

test('a job’s own stream shows that job alone; an unknown or foreign job is refused before the upgrade', async () => {
  const { job_id: id } = await submit({ topic: 'job.watched' })
  const mine = await listen(`/api/v1/jobs/${id}/stream`, world.a.keys.viewer)
  await submit({ topic: 'job.echo' })
  const taker = await capWorker(world, world.a, {
    id: 'watched',
    topics: ['job.watched'],
    work(job, self) {
      self.send('sys.job.progress', { case: 'jobProgress', value: { jobId: job.jobId, percent: 40, message: 'on it' } })
      return {}
    },
  })
  await expect.poll(() => mine.frames.some((frame) => frame.jobResult), { timeout: 10_000 }).toBe(true)
  expect(mine.frames.find((frame) => frame.jobProgress)).toMatchObject({
    jobProgress: { percent: 40, message: 'on it' },
  })
  expect(mine.frames.every((frame) => (frame.jobProgress ?? frame.jobResult ?? frame.jobRequest).jobId === id)).toBe(
    true,
  )
  await expect.poll(() => mine.code(), { timeout: 8000 }).toBe(1000)
  await expect(listen('/api/v1/jobs/no-such-job/stream', world.a.keys.viewer)).rejects.toThrow('404')
  await expect(listen(`/api/v1/jobs/${id}/stream`, world.b.keys.admin)).rejects.toThrow('404')
  await taker.close()
})
