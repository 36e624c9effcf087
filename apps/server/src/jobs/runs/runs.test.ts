import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { sql } from '../../kernel/db/index.ts'
import { openRuns, type Runs } from '../../testing/runs.ts'

let runs: Runs
beforeAll(async () => {
  runs = await openRuns()
})
afterAll(() => runs.close())

const approval = { approve: { type: 'approval', name: 'Approve' } }

// The script itself looks ten times, every 0.2 s; how fast it is, the benchmarks say.
test('the smoke script of the reference: create, start, approve, see it succeed, delete', async () => {
  const { save, start, get, decide, call, until } = runs
  const workflow = await save(approval)
  const run = await start(workflow)
  expect(await get(run)).toMatchObject({ status: 'waiting', steps: { approve: { status: 'waiting' } } })
  expect((await decide(workflow, run, 'approve', { approved: true })).status).toBe(204)
  expect(await until(run, 'succeeded')).toMatchObject({ steps: { approve: { status: 'succeeded' } } })
  expect((await call('DELETE', `/api/v1/workflow-runs/${run}`)).status).toBe(204)
  expect((await call('DELETE', `/api/v1/workflows/${workflow}`)).status).toBe(204)
  expect((await call('GET', `/api/v1/workflow-runs/${run}`)).status).toBe(404)
})

test('a worker does a step, its result is the input of the next, and the run’s output is that of its leaves', async () => {
  const workflow = await runs.save({
    first: { type: 'worker', topic: 'job.echo', input: { name: '${input.name}' } },
    second: {
      type: 'worker',
      topic: 'job.echo',
      depends_on: ['first'],
      input: { from: '${steps.first.output.got.name}' },
    },
  })
  const run = await runs.start(workflow, { name: 'ada', none: null })
  const done = await runs.until(run, 'succeeded')
  expect(done).toMatchObject({
    input: { name: 'ada', none: null },
    output: { second: { got: { from: 'ada' } } },
    error: null,
    triggered_by: 'admin',
    steps: { first: { status: 'succeeded', job_id: `${run}:first@1`, output: { got: { name: 'ada' } } } },
    context: { steps: { first: { result_ptr: expect.stringMatching(/^redis:/), output: { got: { name: 'ada' } } } } },
  })
  const request = runs.worker.taken.find(({ request: { jobId } }) => jobId === `${run}:first@1`)?.request
  expect(request).toMatchObject({
    workflowId: workflow,
    memoryId: `run:${run}`,
    contextPtr: `redis://ctx:${run}:first@1`,
    env: { run_id: run, step_id: 'first', workflow_id: workflow, context_mode: 'raw', tenant_id: runs.world.a.slug },
    labels: { run_id: run, step_id: 'first', workflow_id: workflow },
  })
  expect((await runs.call('GET', `/api/v1/jobs/${run}:first@1`)).body).toMatchObject({
    state: 'SUCCEEDED',
    trace_id: run,
    run_id: run,
    step_id: 'first',
  })
  expect(await runs.timeline(run)).toEqual(expect.arrayContaining(['run_status', 'step_dispatched', 'step_completed']))
  const { kernel, a } = runs.world
  await expect
    .poll(() =>
      kernel.db.tenant(a.id, (tx) =>
        tx.many(sql`select type from events where resource_kind = 'run' and resource_id = ${run} order by seq`),
      ),
    )
    .toEqual([{ type: 'run.started' }, { type: 'run.succeeded' }])
})

test('two hundred children run, ten at a time, and their outputs come in the order of their index', async () => {
  const workflow = await runs.save({
    fan: { type: 'worker', topic: 'job.echo', for_each: 'input.items', max_parallel: 10, input: { n: '${item}' } },
    sum: {
      type: 'transform',
      depends_on: ['fan'],
      input: { count: '${length(steps.fan.output)}', last: '${steps.fan.output[199].got.n}' },
    },
  })
  const run = await runs.start(workflow, { items: Array.from({ length: 200 }, (_, n) => n) })
  let most = 0
  await expect
    .poll(
      async () => {
        const { status, steps } = await runs.get(run)
        const { begun, succeeded, failed } = steps.fan.children_counts
        most = Math.max(most, begun - succeeded - failed)
        return status
      },
      { timeout: 30_000, interval: 50 },
    )
    .toBe('succeeded')
  expect(most).toBeLessThanOrEqual(10)
  const done = await runs.get(run)
  expect(done.output).toEqual({ sum: { count: 200, last: 199 } })
  expect(done.steps.fan.children_counts).toEqual({ total: 200, begun: 200, succeeded: 200, failed: 0 })
  expect(Object.keys(done.steps.fan.children)).toHaveLength(100)
  const page = await runs.call('GET', `/wheelhouse/api/v1/workflow-runs/${run}/steps/fan/children?page=2&pageSize=150`)
  expect(page.body).toMatchObject({ total: 200 })
  expect(page.body.items.map((each: { index: number }) => each.index)).toEqual(
    Array.from({ length: 50 }, (_, n) => n + 150),
  )
}, 40_000)

test('an idempotent start gives the first run again, for its own workflow alone, and a refused one burns no key', async () => {
  const [one, other] = [await runs.save(approval), await runs.save(approval)]
  const path = (id: string) => `/api/v1/workflows/${id}/runs`
  const first = await runs.start(one, {}, '?idempotency_key=k')
  expect(await runs.start(one, { other: true }, '?idempotency-key=k')).toBe(first)
  const header = await runs.world.call('POST', path(one), { body: {}, headers: { 'idempotency-key': 'k' } })
  expect(header.body.run_id).toBe(first)
  expect(await runs.start(other, {}, '?idempotency_key=k')).not.toBe(first)
  const raced = await Promise.all(Array.from({ length: 5 }, () => runs.start(one, {}, '?idempotency_key=race')))
  expect(new Set(raced).size).toBe(1)
})

test('a limit of active runs refuses the next start until one has ended', async () => {
  const { a } = runs.world
  const workflow = await runs.save(approval)
  const path = `/api/v1/workflows/${workflow}/runs`
  const before = (await runs.call('GET', '/api/v1/workflow-runs?limit=500')).body.items as {
    status: string
    id: string
    workflow_id: string
  }[]
  for (const each of before.filter(({ status }) => status === 'waiting' || status === 'running'))
    await runs.call('POST', `/api/v1/workflows/${each.workflow_id}/runs/${each.id}/cancel`)
  const limit = (n: number) =>
    runs.call('POST', '/api/v1/config', {
      scope: 'org',
      scope_id: a.id,
      data: { limits: { max_concurrent_runs: n } },
    })
  expect((await limit(1)).status).toBeLessThan(300)
  const run = await runs.start(workflow)
  const refused = await runs.call('POST', `${path}?idempotency_key=later`, {})
  expect(refused).toMatchObject({ status: 429, body: { error: 'max concurrent runs reached' } })
  expect((await runs.decide(workflow, run, 'approve', { approved: false })).status).toBe(204)
  expect(await runs.get(run)).toMatchObject({ status: 'failed', error: { message: expect.any(String) } })
  expect(await runs.start(workflow, {}, '?idempotency_key=later')).not.toBe(run)
  await limit(0)
})

test('input that does not fit the workflow’s schema is refused, and what is unknown too', async () => {
  const workflow = await runs.save(approval, { input_schema: { type: 'object', required: ['name'] } })
  expect(await runs.call('POST', `/api/v1/workflows/${workflow}/runs`, {})).toMatchObject({
    status: 400,
    body: { error: expect.stringContaining('input schema validation failed') },
  })
  expect(await runs.call('POST', '/api/v1/workflows/none/runs', {})).toMatchObject({
    status: 404,
    body: { error: 'workflow not found' },
  })
  expect((await runs.call('POST', `/api/v1/workflows/${workflow}/runs`, '[1]')).status).toBe(400)
})

test('cancel ends a run, its jobs and nothing that has ended', async () => {
  const workflow = await runs.save({ wait: { type: 'worker', topic: 'job.silent' }, ask: { type: 'approval' } })
  const run = await runs.start(workflow)
  await expect.poll(() => runs.asked.get(`${run}:wait`)).toBe(1)
  const path = `/api/v1/workflows/${workflow}/runs/${run}/cancel`
  expect((await runs.call('POST', path)).status).toBe(204)
  expect(await runs.get(run)).toMatchObject({
    status: 'cancelled',
    steps: { wait: { status: 'cancelled' }, ask: { status: 'cancelled' } },
  })
  await expect.poll(async () => (await runs.call('GET', `/api/v1/jobs/${run}:wait@1`)).body.state).toBe('CANCELLED')
  await expect.poll(() => runs.worker.cancels.some(({ jobId }) => jobId === `${run}:wait@1`)).toBe(true)
  expect((await runs.call('POST', path)).status).toBe(204)
  expect((await runs.call('POST', `/api/v1/workflows/${workflow}/runs/none/cancel`)).status).toBe(400)
  expect((await runs.decide(workflow, run, 'ask', { approved: true })).body).toMatchObject({
    error: 'step not waiting',
  })
})

test('a rerun from a step keeps what went before it and takes another input', async () => {
  const workflow = await runs.save({
    before: { type: 'worker', topic: 'job.echo', input: { n: '${input.n}' }, output_path: 'kept' },
    after: {
      type: 'transform',
      depends_on: ['before'],
      input: { before: '${steps.before.output.got.n}', ctx: '${ctx.kept.got.n}', now: '${input.n}' },
    },
  })
  const run = await runs.start(workflow, { n: 1 })
  await runs.until(run, 'succeeded')
  const again = await runs.call('POST', `/api/v1/workflow-runs/${run}/rerun`, { from_step: 'after', input: { n: 2 } })
  expect(again.status).toBe(200)
  const done = await runs.until(again.body.run_id, 'succeeded')
  expect(done).toMatchObject({
    rerun_of: run,
    rerun_step: 'after',
    metadata: { rerun_of: run, rerun_step: 'after' },
    input: { n: 2 },
    output: { after: { before: 1, ctx: 1, now: 2 } },
  })
  expect(runs.asked.get(`${again.body.run_id}:before`)).toBeUndefined()
  const whole = await runs.call('POST', `/api/v1/workflow-runs/${run}/rerun`)
  expect((await runs.until(whole.body.run_id, 'succeeded')).output).toEqual({ after: { before: 1, ctx: 1, now: 1 } })
  expect(await runs.call('POST', `/api/v1/workflow-runs/${run}/rerun`, { from_step: 'none' })).toMatchObject({
    status: 400,
    body: { error: 'step not found' },
  })
  const failed = await runs.start(
    await runs.save({ a: { topic: 'job.fail' }, b: { topic: 'job.echo', depends_on: ['a'] } }),
  )
  await runs.until(failed, 'failed')
  expect(await runs.call('POST', `/api/v1/workflow-runs/${failed}/rerun`, { from_step: 'b' })).toMatchObject({
    status: 400,
    body: { error: 'dependency a not succeeded' },
  })
})

test('a dry run executes nothing and says what would be done and what policy would say', async () => {
  const workflow = await runs.save({
    first: { type: 'worker', topic: 'job.echo', input: { n: '${input.n}' } },
    ask: { type: 'approval', depends_on: ['first'] },
    call: { type: 'http', depends_on: ['ask'], input: { url: 'http://127.0.0.1:1/' } },
    never: { type: 'worker', topic: 'job.echo', condition: 'input.n > 5', depends_on: ['first'] },
  })
  const run = await runs.start(workflow, { n: 1 }, '?dry_run=true')
  const done = await runs.get(run)
  expect(done).toMatchObject({
    status: 'succeeded',
    dry_run: true,
    labels: { dry_run: 'true' },
    metadata: { dry_run: 'true' },
  })
  const steps = new Map(done.output.steps.map((step: { id: string }) => [step.id, step]))
  expect(steps.get('first')).toMatchObject({ runs: 'yes', topic: 'job.echo', input: { n: 1 }, decision: 'ALLOW' })
  expect(steps.get('never')).toMatchObject({ runs: 'no' })
  expect(steps.get('call')).toMatchObject({ topic: 'job.wh.workflow.http', decision: 'ALLOW' })
  expect(await runs.timeline(run)).toEqual(['dry_run', 'run_status'])
  expect((await runs.call('GET', `/api/v1/jobs?trace_id=${run}`)).body.items).toEqual([])
})

test('lists filter and page to their end; the runs of a removed workflow stay', async () => {
  const workflow = await runs.save(approval)
  const made: string[] = []
  for (let n = 0; n < 5; n++) made.push(await runs.start(workflow, { n }, n === 0 ? '?team_id=core' : ''))
  const seen: string[] = []
  let cursor: number | null = null
  do {
    const query = `workflow_id=${workflow}&limit=2${cursor === null ? '' : `&cursor=${cursor}`}`
    const { body } = await runs.call('GET', `/api/v1/workflow-runs?${query}`)
    seen.push(...body.items.map(({ id }: { id: string }) => id))
    cursor = body.next_cursor
  } while (cursor !== null)
  expect(seen).toEqual(made.toReversed())
  const count = async (query: string) =>
    (await runs.call('GET', `/api/v1/workflow-runs?workflow_id=${workflow}&${query}`)).body.items.length
  expect(await count('team_id=core')).toBe(1)
  expect(await count('status=WAITING')).toBe(5)
  expect(await count('status=sleeping')).toBe(0)
  expect(await count('updated_before=1000')).toBe(0)
  const counts = (await runs.call('GET', '/wheelhouse/api/v1/workflow-runs/counts')).body.workflows
  expect(counts).toContainEqual(expect.objectContaining({ workflowId: workflow, counts: { waiting: 5 } }))
  await runs.call('DELETE', `/api/v1/workflows/${workflow}`)
  expect((await runs.call('GET', `/api/v1/workflows/${workflow}/runs`)).body).toHaveLength(5)
  const [first = ''] = made
  expect((await runs.decide(workflow, first, 'approve', { approved: true })).status).toBe(204)
  await runs.until(first, 'succeeded')
})

test('another tenant sees and touches nothing of a run', async () => {
  const { b } = runs.world
  const workflow = await runs.save(approval)
  const run = await runs.start(workflow)
  const as = b.keys.admin
  expect((await runs.call('GET', '/api/v1/workflow-runs', undefined, as)).body.items).toEqual([])
  expect((await runs.call('GET', '/api/v1/workflows', undefined, as)).body).toEqual([])
  expect((await runs.call('GET', `/api/v1/workflow-runs/${run}/timeline`, undefined, as)).body).toEqual([])
  for (const [method, path, body, status] of [
    ['GET', `/api/v1/workflow-runs/${run}`, undefined, 404],
    ['GET', `/api/v1/workflows/${workflow}/runs`, undefined, 404],
    ['GET', `/api/v1/workflow-runs/${run}/chat`, undefined, 404],
    ['GET', `/wheelhouse/api/v1/workflow-runs/${run}/why`, undefined, 404],
    ['GET', `/wheelhouse/api/v1/workflow-runs/${run}/stream`, undefined, 404],
    ['POST', `/api/v1/workflow-runs/${run}/rerun`, {}, 404],
    ['POST', `/api/v1/workflows/${workflow}/runs`, {}, 404],
    ['POST', `/api/v1/workflows/${workflow}/runs/${run}/cancel`, {}, 400],
    ['POST', `/api/v1/workflows/${workflow}/runs/${run}/steps/approve/approve`, { approved: true }, 400],
    ['DELETE', `/api/v1/workflow-runs/${run}`, undefined, 404],
    ['DELETE', `/api/v1/workflows/${workflow}`, undefined, 404],
  ] as const)
    expect([method, path, (await runs.call(method, path, body, as)).status]).toEqual([method, path, status])
  expect(await runs.get(run)).toMatchObject({ status: 'waiting' })
  expect((await runs.call('GET', `/api/v1/workflow-runs?org_id=${b.slug}`)).status).toBe(403)
})

test('a timeline is cut to its newest events, in the order of their time, and read whole by pages', async () => {
  const workflow = await runs.save({ fan: { topic: 'job.echo', for_each: 'input.items' } })
  const run = await runs.start(workflow, { items: [1, 2, 3, 4, 5] })
  await runs.until(run, 'succeeded')
  const all = (await runs.call('GET', `/wheelhouse/api/v1/workflow-runs/${run}/events?pageSize=500`)).body.items
  const cut = (await runs.call('GET', `/api/v1/workflow-runs/${run}/timeline?limit=3`)).body
  expect(cut.map((event: { seq: number }) => event.seq)).toEqual(
    all.slice(-3).map((event: { seq: number }) => event.seq),
  )
  expect(cut.at(-1)).toMatchObject({ type: 'run_status', status: 'succeeded', run_id: run, workflow_id: workflow })
})

test('chat stands with the run’s memory, newest first, and reaches the sockets that watch', async () => {
  const workflow = await runs.save(approval)
  const run = await runs.start(workflow)
  const socket = new WebSocket(`${runs.world.url.replace('http', 'ws')}/api/v1/stream`, [
    'cordum-api-key',
    Buffer.from(runs.world.a.keys.admin).toString('base64url'),
  ])
  const frames: { payload?: { chatMessage?: { content: string } } }[] = []
  socket.on('message', (data) => frames.push(JSON.parse(String(data))))
  await new Promise((resolve) => socket.once('open', resolve))
  const path = `/api/v1/workflow-runs/${run}/chat`
  const said = await runs.call('POST', path, {
    content: ' hello ',
    role: 'assistant',
    step_id: 'approve',
    metadata: { a: 1 },
  })
  expect(said).toMatchObject({
    status: 200,
    body: { role: 'agent', content: 'hello', run_id: run, step_id: 'approve', metadata: { a: 1 } },
  })
  const operator = await runs.call('POST', path, { content: 'as who?', role: 'system' }, runs.world.a.keys.operator)
  expect(operator.body).toMatchObject({ role: 'user' })
  expect((await runs.call('POST', path, { content: '  ' })).body).toMatchObject({ error: 'content required' })
  expect((await runs.call('POST', path, { content: 'x', role: 'robot' })).status).toBe(400)
  const page = await runs.call('GET', `${path}?limit=1`)
  expect(page.body.items.map(({ content }: { content: string }) => content)).toEqual(['as who?'])
  const next = await runs.call('GET', `${path}?limit=1&cursor=${page.body.next_cursor}`)
  expect(next.body.items.map(({ content }: { content: string }) => content)).toEqual(['hello'])
  await expect.poll(() => frames.some((frame) => frame.payload?.chatMessage?.content === 'hello')).toBe(true)
  socket.close()
})

test('a run says why it is where it is', async () => {
  const workflow = await runs.save({
    work: { topic: 'job.nobody' },
    ask: { type: 'approval', approval: { required: 2, instructions: 'look at it' } },
    wait: { type: 'delay', delay_sec: 3600 },
  })
  const run = await runs.start(workflow)
  const why = async () => (await runs.call('GET', `/wheelhouse/api/v1/workflow-runs/${run}/why`)).body
  const { waitsFor, ended, text } = await why()
  expect(ended).toBe(false)
  const kinds = waitsFor.map(({ kind }: { kind: string }) => kind)
  expect(kinds).toEqual(expect.arrayContaining(['approval', 'time']))
  expect(waitsFor).toContainEqual(
    expect.objectContaining({ ref: expect.objectContaining({ kind: 'job', id: `${run}:work@1` }) }),
  )
  expect(waitsFor).toHaveLength(3)
  expect(text).toContain('ask waits for 2 approvals: look at it')
  await runs.call('POST', `/api/v1/workflows/${workflow}/runs/${run}/cancel`)
  expect(await why()).toMatchObject({ ended: true, state: 'cancelled', waitsFor: [] })
})
