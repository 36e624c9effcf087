import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fromBinary } from '@bufbuild/protobuf'
import { BusPacketSchema } from '@wheelhouse/contract/proto/cap_pb'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createKey } from '../../kernel/identity/index.ts'
import { connectAs } from '../../testing/cap-worker.ts'
import { openRuns, type Runs } from '../../testing/runs.ts'

let runs: Runs
let server: Server
let url: string
const heard: { method: string; url: string; header: string; body: string }[] = []

beforeAll(async () => {
  runs = await openRuns()
  server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.on('end', () => {
      heard.push({ method: request.method ?? '', url: request.url ?? '', header: String(request.headers['x-a']), body })
      response.writeHead(request.url === '/bad' ? 500 : 200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ said: body === '' ? null : JSON.parse(body) }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.close()
  await runs.close()
})

/** Runs a definition to its end; the run. */
async function ran(steps: Record<string, unknown>, input: unknown, status = 'succeeded', more = {}) {
  const run = await runs.start(await runs.save(steps, more), input)
  return runs.until(run, status)
}

test('http calls what it names, with its headers and body, and gives status, headers and parsed body', async () => {
  const step = {
    type: 'http',
    input: { method: 'POST', url: `${url}/x`, headers: { 'x-a': '${input.a}' }, body: { n: '${input.n}' } },
  }
  const done = await ran({ call: step }, { a: 'hello', n: 3 })
  expect(heard).toContainEqual({ method: 'POST', url: '/x', header: 'hello', body: '{"n":3}' })
  expect(done.output.call).toMatchObject({ status: 200, body: { said: { n: 3 } } })
  const failed = await ran({ call: { type: 'http', input: { url: `${url}/bad` } } }, {}, 'failed')
  expect(failed.error.message).toContain('answered 500')
  const fine = await ran({ call: { type: 'http', input: { url: `${url}/bad`, expected_status: '500-599' } } }, {})
  expect(fine.output.call.status).toBe(500)
})

test('http and other verbs of ours go by the rights of who started the run', async () => {
  const workflow = await runs.save({ call: { type: 'http', input: { url: `${url}/y` } } })
  const answer = await runs.call('POST', `/api/v1/workflows/${workflow}/runs`, {}, runs.world.a.keys.user)
  expect((await runs.until(answer.body.run_id, 'succeeded')).triggered_by).toBe('user')
  const other = await runs.save({ act: { type: 'worker', topic: 'job.wh.release.target.check', input: {} } })
  const refused = await runs.call('POST', `/api/v1/workflows/${other}/runs`, {}, runs.world.a.keys.user)
  const { error } = await runs.until(refused.body.run_id, 'failed')
  expect(error).toMatchObject({ code: 'PERM_DENIED', message: expect.stringContaining('target:execute') })
})

test('storage keeps values in the run’s memory and blobs as artifacts', async () => {
  const done = await ran(
    {
      put: { type: 'storage', input: { op: 'put', key: 'k', value: { n: '${input.n}' } } },
      get: { type: 'storage', depends_on: ['put'], input: { op: 'get', key: 'k' } },
      blob: { type: 'storage', input: { op: 'put', value: 'text' } },
      read: { type: 'storage', depends_on: ['blob'], input: { op: 'get', ptr: '${steps.blob.output.ptr}' } },
      gone: { type: 'storage', depends_on: ['get'], input: { op: 'delete', key: 'k' } },
    },
    { n: 7 },
  )
  expect(done.output).toMatchObject({ read: { found: true, value: 'text' }, gone: { found: true } })
  expect(done.steps.get.output).toMatchObject({ found: true, value: { n: 7 } })
})

test('condition and switch choose; what they do not choose is skipped', async () => {
  const done = await ran(
    {
      big: { type: 'condition', condition: 'input.n > 5 && input.kind == "a"' },
      route: {
        type: 'switch',
        cases: [
          { name: 'low', when: 'input.n < 5', steps: ['low'] },
          { name: 'high', when: 'input.n >= 5', steps: ['high'] },
        ],
      },
      low: { type: 'transform', depends_on: ['route'], input: { was: 'low' } },
      high: { type: 'transform', depends_on: ['route'], input: { was: 'high' } },
      maybe: { type: 'transform', depends_on: ['big'], condition: 'steps.big.output', input: { was: 'big' } },
    },
    { n: 8, kind: 'a' },
  )
  expect(done.steps).toMatchObject({
    big: { output: true },
    route: { output: { branch: 'high' } },
    high: { status: 'succeeded', output: { was: 'high' } },
    low: { status: 'succeeded', skipped: true },
    maybe: { output: { was: 'big' } },
  })
})

test('delay waits as long as it says', async () => {
  const began = performance.now()
  const done = await ran(
    { wait: { type: 'delay', delay_sec: 0.4 }, after: { type: 'transform', depends_on: ['wait'], input: { a: 1 } } },
    {},
  )
  expect(performance.now() - began).toBeGreaterThan(380)
  expect(performance.now() - began).toBeLessThan(3000)
  expect(done.output).toEqual({ after: { a: 1 } })
})

test('notify tells the tenant’s own subjects and goes on', async () => {
  const { a, kernel } = runs.world
  const { token } = await kernel.db.auth((tx) =>
    createKey(tx, kernel.clock.now(), {
      tenantId: a.id,
      ownerId: a.adminId,
      name: 'listener',
      kind: 'worker',
      admin: true,
      account: 'tenant',
      pub: { allow: [] },
      sub: { allow: ['sys.workflow.event'] },
    }),
  )
  const bus = await connectAs(runs.world, token)
  const alerts: { level: string; message: string; traceId: string }[] = []
  bus.subscribe('sys.workflow.event', {
    callback: (_error, message) => {
      const { payload, traceId } = fromBinary(BusPacketSchema, message.data)
      if (payload.case === 'alert') alerts.push({ level: payload.value.level, message: payload.value.message, traceId })
    },
  })
  await bus.flush()
  const done = await ran({ tell: { type: 'notify', input: { level: 'warn', message: 'n is ${input.n}' } } }, { n: 1 })
  await expect.poll(() => alerts).toEqual([{ level: 'WARN', message: 'n is 1', traceId: done.id }])
  await bus.drain()
})

test('parallel lets only so many of its group run at once', async () => {
  const members = Object.fromEntries(
    Array.from({ length: 6 }, (_, n) => [`m${n}`, { topic: 'job.silent', depends_on: ['all'] }]),
  )
  const workflow = await runs.save({ all: { type: 'parallel', max_parallel: 2 }, ...members })
  const run = await runs.start(workflow)
  const running = async () =>
    Object.values((await runs.get(run)).steps as Record<string, { status: string }>).filter(
      ({ status }) => status === 'running',
    )
  await expect.poll(async () => (await running()).length).toBe(2)
  await runs.call('POST', `/api/v1/workflows/${workflow}/runs/${run}/cancel`)
})

test('a loop does its work again while its condition holds', async () => {
  const done = await ran(
    { again: { type: 'loop', topic: 'job.count', condition: 'output < 3', max_iterations: 10 } },
    {},
  )
  expect(done.output).toEqual({ again: 3 })
  const failed = await ran(
    { again: { type: 'loop', topic: 'job.count', condition: 'true', max_iterations: 2 } },
    {},
    'failed',
  )
  expect(failed.steps.again.status).toBe('failed')
})

test('a sub-workflow runs on its own, gives its output and falls with its parent', async () => {
  const inner = await runs.save({ work: { topic: 'job.echo', input: { n: '${input.n}' } } })
  const done = await ran({ sub: { type: 'subworkflow', workflow_id: inner, input: { n: '${input.n}' } } }, { n: 4 })
  expect(done.output).toMatchObject({ sub: { work: { got: { n: 4 } } } })
  const child = await runs.get(done.steps.sub.child_run_id)
  expect(child).toMatchObject({
    parent_run_id: done.id,
    parent_step: 'sub',
    status: 'succeeded',
    triggered_by: 'admin',
  })

  const silent = await runs.save({ work: { topic: 'job.silent' } })
  const outer = await runs.save({ sub: { type: 'subworkflow', workflow_id: silent } })
  const run = await runs.start(outer)
  await expect.poll(async () => (await runs.get(run)).steps.sub.child_run_id).toBeDefined()
  await runs.call('POST', `/api/v1/workflows/${outer}/runs/${run}/cancel`)
  await runs.until((await runs.get(run)).steps.sub.child_run_id, 'cancelled')

  const missing = await ran({ sub: { type: 'subworkflow', workflow_id: 'nothing' } }, {}, 'failed')
  expect(missing.error.message).toContain('workflow nothing not found')
})

test('a workflow that calls itself ends at its depth', async () => {
  const id = `self-${Date.now()}`
  await runs.save({ again: { type: 'subworkflow', workflow_id: id } }, { id })
  const run = await runs.start(id)
  expect((await runs.until(run, 'failed', 20_000)).error.message).toContain('deep')
}, 25_000)

test('a step that fails is tried again after its pause, and a run tells of its first failure', async () => {
  const retry = { max_retries: 2, initial_backoff_sec: 0.1, multiplier: 1.5 }
  const done = await ran({ work: { topic: 'job.flaky', retry } }, {})
  expect(done.steps.work).toMatchObject({ status: 'succeeded', attempts: 3, job_id: `${done.id}:work@3` })
  expect(await runs.timeline(done.id)).toContain('step_retry_scheduled')
  const failed = await ran({ work: { topic: 'job.fail' }, other: { topic: 'job.silent' } }, {}, 'failed')
  expect(failed).toMatchObject({
    error: { message: 'it broke' },
    steps: { work: { status: 'failed', error: { message: 'it broke' } } },
  })
  await expect
    .poll(async () => (await runs.call('GET', `/api/v1/jobs/${failed.id}:other@1`)).body.state)
    .toBe('CANCELLED')
})

test('a failure goes on, or elsewhere, where its step says so', async () => {
  const on = await ran(
    {
      work: { topic: 'job.fail', on_error: 'continue' },
      after: { type: 'transform', depends_on: ['work'], input: { a: 1 } },
    },
    {},
  )
  expect(on.steps).toMatchObject({ work: { status: 'failed' }, after: { status: 'succeeded' } })
  const instead = await ran(
    { work: { topic: 'job.fail', on_error: 'mend' }, mend: { type: 'transform', input: { mended: true } } },
    {},
  )
  expect(instead.output).toMatchObject({ mend: { mended: true } })
})

test('a step and a run over their time end as timed out', async () => {
  const step = await ran({ work: { topic: 'job.silent', timeout_sec: 0.3 } }, {}, 'timed_out')
  expect(step.steps.work.status).toBe('timed_out')
  const whole = await ran({ work: { topic: 'job.silent' } }, {}, 'timed_out', { timeout_sec: 1 })
  expect(whole.error.message).toContain('longer')
  await expect
    .poll(async () => (await runs.call('GET', `/api/v1/jobs/${whole.id}:work@1`)).body.state)
    .toBe('CANCELLED')
})

test('a failing child ends its siblings at once, unless the step says otherwise', async () => {
  const items = [1, 2, 3]
  const one = await runs.start(
    await runs.save({ fan: { topic: 'job.fail', for_each: 'input.items', max_parallel: 1 } }),
    { items },
  )
  const failed = await runs.until(one, 'failed')
  expect(failed.steps.fan.children['fan[2]'].status).toBe('cancelled')
  expect(runs.asked.get(`${one}:fan[2]`)).toBeUndefined()
  const all = await ran(
    { fan: { topic: 'job.fail', for_each: 'input.items', max_parallel: 1, fail_fast: false } },
    { items },
    'failed',
  )
  expect(runs.asked.get(`${all.id}:fan[2]`)).toBe(1)
  const empty = await ran({ fan: { topic: 'job.fail', for_each: 'input.none' } }, {})
  expect(empty.steps.fan.status).toBe('succeeded')
})

test('approvals take as many people of the named roles as they ask for, each once', async () => {
  const { world } = runs
  const [anna, ben] = [await world.person(world.a, 'anna', 'operator'), await world.person(world.a, 'ben', 'approver')]
  const steps = {
    ask: { type: 'approval', approval: { required: 2, roles: ['operator', 'approver'], separation_of_duties: true } },
  }
  const workflow = await runs.save(steps)
  const run = await runs.start(workflow)
  expect((await runs.decide(workflow, run, 'ask', { approved: true })).status).toBe(403)
  expect((await runs.decide(workflow, run, 'ask', { approved: true }, anna)).status).toBe(204)
  expect((await runs.decide(workflow, run, 'ask', { approved: true }, anna)).status).toBe(204)
  expect(await runs.get(run)).toMatchObject({ status: 'waiting' })
  expect((await runs.decide(workflow, run, 'ask', { approved: true }, runs.world.a.keys.viewer)).status).toBe(403)
  expect((await runs.decide(workflow, run, 'ask', { approved: true }, ben)).status).toBe(204)
  expect(await runs.get(run)).toMatchObject({ status: 'succeeded' })

  const rejected = await runs.start(workflow)
  expect((await runs.decide(workflow, rejected, 'ask', { approved: false }, ben)).status).toBe(204)
  expect(await runs.get(rejected)).toMatchObject({ status: 'failed', steps: { ask: { status: 'failed' } } })
  expect(await runs.timeline(rejected)).toContain('step_rejected')
  expect((await runs.decide(workflow, rejected, 'none', { approved: true })).body).toMatchObject({
    error: 'step not found',
  })
})

test('an approval that nobody decides in time ends as its step says', async () => {
  const ask = (on_timeout: string) => ({ ask: { type: 'approval', timeout_sec: 0.3, approval: { on_timeout } } })
  expect((await ran(ask('approve'), {})).steps.ask.status).toBe('succeeded')
  expect((await ran(ask('reject'), {}, 'failed')).steps.ask.status).toBe('failed')
})

test('a form waits for a value that fits, which is its output', async () => {
  const workflow = await runs.save({
    form: {
      type: 'input',
      input_schema: { type: 'object', required: ['size'], properties: { size: { type: 'integer' } } },
    },
    after: { type: 'transform', depends_on: ['form'], input: { size: '${steps.form.output.size}' } },
  })
  const run = await runs.start(workflow)
  expect((await runs.decide(workflow, run, 'form', { approved: true, value: { size: 'x' } })).status).toBe(400)
  expect((await runs.decide(workflow, run, 'form', { approved: true, value: { size: 3 } })).status).toBe(204)
  expect((await runs.until(run, 'succeeded')).output).toEqual({ after: { size: 3 } })
})

test('inputs and outputs are held against schemas, written ones and registered ones', async () => {
  await runs.call('POST', '/api/v1/schemas', { id: 'steps/named', schema: { type: 'object', required: ['name'] } })
  const named = { topic: 'job.echo', input: { other: 1 }, input_schema_id: 'steps/named' }
  expect((await ran({ work: named }, {}, 'failed')).error.message).toContain('name')
  const output = { topic: 'job.echo', output_schema: { type: 'object', required: ['missing'] } }
  const failed = await ran({ work: output }, {}, 'failed')
  expect(await runs.timeline(failed.id)).toContain('step_output_invalid')
})

test('a step that policy denies fails with its reason, one that it holds waits in the inbox', async () => {
  const { world } = runs
  await world.publish(
    'secops/test',
    `version: "1"
rules:
  - {id: no, match: {topics: [job.denied]}, decision: deny, reason: not here}
  - {id: ask, match: {topics: [job.count]}, decision: require_approval, reason: look first}
`,
  )
  const denied = await ran({ work: { topic: 'job.denied' } }, {}, 'failed')
  expect(denied.error.message).toContain('not here')
  const run = await runs.start(await runs.save({ work: { topic: 'job.count' } }))
  const jobId = `${run}:work@1`
  expect((await runs.call('GET', `/api/v1/jobs/${jobId}`)).body.state).toBe('APPROVAL_REQUIRED')
  const carl = await world.person(world.a, 'carl', 'admin')
  expect((await runs.call('POST', `/api/v1/approvals/${encodeURIComponent(jobId)}/approve`, {}, carl)).status).toBe(200)
  await runs.until(run, 'succeeded')
})
