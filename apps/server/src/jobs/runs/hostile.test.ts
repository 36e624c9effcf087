import { afterAll, beforeAll, expect, test } from 'vitest'
import { JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { capWorker } from '../../testing/cap-worker.ts'
import { sql } from '../../kernel/db/index.ts'
import { writePart } from '../../kernel/memory/index.ts'
import { checkWorkflow } from '../../kernel/workflows/index.ts'
import { openRuns, type Runs } from '../../testing/runs.ts'

/** What workers, clients and authors may send to harm a run, or others. */
let runs: Runs
/** What the worker of `job.hostile` leaves as its result, or says about its failure. */
let answer: { result: string } | { failure: string } = { result: '{}' }
beforeAll(async () => {
  runs = await openRuns()
  const token = runs.worker.token
  await capWorker(runs.world, runs.world.a, {
    id: 'hostile',
    topics: ['job.hostile'],
    async work() {
      if ('failure' in answer) return { status: JobStatus.FAILED, errorCode: 'bad', errorMessage: answer.failure }
      const made = await runs.world.call('POST', '/api/v1/artifacts', {
        as: token,
        body: { content: answer.result, content_type: 'application/json' },
      })
      return { resultPtr: made.body.artifact_ptr as string }
    },
  })
})
afterAll(() => runs.close())

test.each([
  ['a NUL in a text', '{"a":"x\\u0000y"}', { a: 'xy' }],
  [
    'half a character in a text and a name',
    '{"b\\ud800":"\\udc00 \\ud83d\\ude00 \\\\u0000"}',
    { 'b\ufffd': '\ufffd 😀 \\u0000' },
  ],
  [
    'brackets a hundred thousand deep',
    `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    expect.stringMatching(/^\[{100000}\]{100000}$/),
  ],
])('a result with %s ends its step and its run', async (_, result, output) => {
  answer = { result }
  const workflow = await runs.save({
    work: { topic: 'job.hostile' },
    after: { type: 'transform', depends_on: ['work'], input: { ok: true } },
  })
  const done = await runs.until(await runs.start(workflow), 'succeeded')
  expect(done.steps.work.output).toEqual(output)
})

test('a failure whose words would be cut within a character ends its run', async () => {
  answer = { failure: `x\0${'😀'.repeat(3000)}` }
  const run = await runs.start(await runs.save({ work: { topic: 'job.hostile' } }))
  expect((await runs.until(run, 'failed')).error.message).toMatch(/^x😀/u)
})

test.each([
  ['half a character', "${split('😀', '')}"],
  ['a NUL', '${parseJson(input.json)}'],
])('an expression that makes %s fails its step in words', async (_, made) => {
  const workflow = await runs.save({
    make: { type: 'transform', input: { made } },
    ask: { type: 'approval', depends_on: ['make'], input: { made: '${steps.make.output.made}' } },
  })
  const run = await runs.start(workflow, { json: '"\\u0000"' })
  expect((await runs.until(run, 'failed')).error.message).toContain('cannot be stored')
})

test('a job that somebody submits ahead under the id of a step does not take its place', async () => {
  const { a, kernel } = runs.world
  const workflow = await runs.save({
    ask: { type: 'approval' },
    work: { topic: 'job.echo', depends_on: ['ask'], input: { n: 1 } },
    late: { topic: 'job.echo', depends_on: ['ask'], input: { n: 2 }, retry: { max_retries: 0 } },
  })
  const run = await runs.start(workflow)
  const jobId = `${run}:work@1`
  runs.worker.send('sys.job.submit', {
    case: 'jobRequest',
    value: { jobId, topic: 'job.silent', tenantId: a.slug, principalId: 'somebody' },
  })
  // One that is there all the same, from before ids of steps were kept from clients.
  await kernel.jobs.submitBatched(await runs.world.principal(a.keys.admin), {
    jobId: `${run}:late@1`,
    request: { topic: 'job.silent', tenant: a.slug, principalId: 'somebody' },
    context: '{}',
  })
  expect((await runs.decide(workflow, run, 'ask', { approved: true })).status).toBe(204)
  const done = await runs.until(run, 'failed')
  expect(done.steps.late.error).toMatchObject({ code: 'job_id_taken' })
  expect((await runs.call('GET', `/api/v1/jobs/${jobId}`)).body.topic).toBe('job.echo')
})

test('what no row takes is refused at the bus, and others in the batch go through', async () => {
  const { a } = runs.world
  const send = (value: object) =>
    runs.worker.send('sys.job.submit', { case: 'jobRequest', value: { tenantId: a.slug, principalId: 'p', ...value } })
  send({ jobId: 'long-topic', topic: `job.${'x'.repeat(100_000)}` })
  send({ jobId: 'nul', topic: 'job.silent', labels: { a: '\0' } })
  send({ jobId: 'good', topic: 'job.silent' })
  await expect.poll(async () => (await runs.call('GET', '/api/v1/jobs/good')).status).toBe(200)
  expect((await runs.call('GET', '/api/v1/jobs/long-topic')).status).toBe(404)
  expect((await runs.call('GET', '/api/v1/jobs/nul')).status).toBe(404)
})

test('items that would all get a large input fail their step before anything is stored', async () => {
  const workflow = await runs.save({ fan: { topic: 'job.silent', for_each: 'input.items' } })
  const items = Array.from({ length: 4000 }, (_, n) => `item number ${n}, with a few words of its own`)
  const done = await runs.until(await runs.start(workflow, { items }), 'failed')
  expect(done.error.message).toContain('give the step an input with what an item needs')
  expect(done.steps.fan.children_counts.succeeded).toBe(0)
})

test('a tree of runs has at most fifty thousand of them', async () => {
  const { a, kernel } = runs.world
  const leaf = await runs.save({ ask: { type: 'approval' } })
  const middle = await runs.save({
    ask: { type: 'approval' },
    sub: { type: 'subworkflow', workflow_id: leaf, depends_on: ['ask'] },
  })
  const root = await runs.start(await runs.save({ sub: { type: 'subworkflow', workflow_id: middle } }))
  await expect.poll(async () => (await runs.get(root)).steps.sub.child_run_id).toEqual(expect.any(String))
  const child = (await runs.get(root)).steps.sub.child_run_id
  await runs.until(child, 'waiting')
  await kernel.db.tenant(a.id, (tx) =>
    tx.run(sql`
      insert into runs (tenant_id, id, workflow_id, revision, status, input, principal, principal_id, triggered_by, root_run_id, depth, created_at, updated_us)
      select tenant_id, 'filler ' || n, workflow_id, revision, 'succeeded', '{}', principal, principal_id, '', ${root}, 1, created_at, updated_us
        from runs, generate_series(1, 49999) n where id = ${root}`),
  )
  expect((await runs.decide(middle, child, 'ask', { approved: true })).status).toBe(204)
  expect((await runs.until(child, 'failed')).error.message).toContain('at most 50000 sub-runs')
})

test('a context that grows without end fails the step that would make it too large', async () => {
  answer = { result: JSON.stringify('x'.repeat(250_000)) }
  const ids = Array.from({ length: 20 }, (_, n) => `s${n}`)
  const workflow = await runs.save(
    Object.fromEntries(ids.map((id) => [id, { topic: 'job.hostile', output_path: `kept.${id}` }])),
  )
  const done = await runs.until(await runs.start(workflow), 'failed')
  expect(done.error.message).toContain('larger than 4 MiB')
})

test('schemas of a workflow that take long to compile together are refused in words, not waited for', () => {
  const schema = (name: string) => ({
    title: name,
    properties: Object.fromEntries(
      Array.from({ length: 1500 }, (_, n) => [`p${n}`, { type: 'object', properties: { a: { pattern: `^${n}` } } }]),
    ),
  })
  const steps = Object.fromEntries(
    Array.from({ length: 100 }, (_, n) => [`s${n}`, { topic: 'job.echo', input_schema: schema(`step ${n}`) }]),
  )
  const began = performance.now()
  const { problems } = checkWorkflow({ steps })
  expect(problems.at(-1)?.message).toContain('to compile together; make them simpler')
  expect(performance.now() - began).toBeLessThan(8_000)
}, 60_000)

test('names that every object has are no owners, roles or steps', async () => {
  const lock = (verb: string, owner: string) =>
    runs.call('POST', `/api/v1/locks/${verb}`, { resource: 'deploy', owner, mode: 'exclusive', ttl_ms: 60_000 })
  expect((await lock('acquire', 'somebody')).status).toBe(200)
  for (const owner of ['toString', '__proto__', 'constructor'])
    for (const verb of ['acquire', 'renew', 'release'])
      expect.soft((await lock(verb, owner)).status, `${verb} by ${owner}`).toBe(409)
  expect((await lock('release', 'somebody')).status).toBe(200)
  const run = await runs.start(await runs.save({ one: { type: 'transform', input: {} } }))
  expect((await runs.call('POST', `/api/v1/workflow-runs/${run}/rerun`, { from_step: 'toString' })).status).toBe(400)
  const said = await runs.call('POST', `/api/v1/workflow-runs/${run}/chat`, { content: 'hi', role: 'constructor' })
  expect(said.status).toBe(400)
})

test('locks and brakes of one tenant are bounded, and a lifted brake leaves nothing', async () => {
  const { a, kernel } = runs.world
  const pause = (name: string, verb: string) => runs.call('POST', `/wheelhouse/api/v1/queues/topic/${name}/${verb}`, {})
  await kernel.db.tenant(a.id, async (tx) => {
    await tx.run(sql`
      insert into locks (tenant_id, resource, mode, owners, token, updated_at, expires_at)
      select ${a.id}, 'filler ' || n, 'exclusive', '{"x": 1}', n, now(), now() + interval '1 hour' from generate_series(1, 20000) n`)
    await tx.run(sql`
      insert into queue_settings (tenant_id, kind, name, max_depth) select ${a.id}, 'topic', 'job.filler.' || n, 5 from generate_series(1, 999) n`)
  })
  const taken = await runs.call('POST', '/api/v1/locks/acquire', { resource: 'one more', owner: 'me' })
  expect(taken).toMatchObject({ status: 409, body: { error: expect.stringContaining('at most 20000 locks') } })
  expect((await pause('job.one', 'pause')).status).toBe(200)
  expect((await pause('job.two', 'pause')).status).toBe(409)
  expect((await pause('job.one', 'resume')).status).toBe(200)
  expect((await pause('job.two', 'pause')).status).toBe(200)
  await kernel.db.tenant(a.id, async (tx) => {
    await tx.run(sql`delete from locks`)
    await tx.run(sql`delete from queue_settings`)
  })
})

test('a storage step reads by pointer what the run itself left, and all else only by the right to it', async () => {
  const { a, kernel } = runs.world
  answer = { result: '{"secret": 1}' }
  const other = await runs.start(await runs.save({ work: { topic: 'job.hostile' } }))
  await runs.until(other, 'succeeded')
  const admin = await runs.world.principal(a.keys.admin)
  const limited = { ...admin, roles: ['runner'], grants: [['workflow:execute', 'job:submit']] }
  const read = async (ptr: string) => {
    const workflow = await runs.save({
      own: { type: 'transform', input: { a: 1 } },
      read: { type: 'storage', depends_on: ['own'], input: { op: 'get', ptr: '${input.ptr}' } },
    })
    const { runId } = await kernel.workflows.startRun(limited, { workflowId: workflow, input: { ptr } })
    await expect.poll(async () => (await runs.get(runId)).status).toMatch(/succeeded|failed/)
    return runs.get(runId)
  }
  expect((await read(`redis://ctx:${other}:work@1`)).error.code).toBe('PERM_DENIED')
  const stored = await runs.call('POST', '/api/v1/artifacts', { content: 'x', content_type: 'text/plain' })
  expect((await read(stored.body.artifact_ptr)).error.code).toBe('PERM_DENIED')
  const allowed = await runs.start(
    await runs.save({ read: { type: 'storage', input: { op: 'get', ptr: stored.body.artifact_ptr } } }),
  )
  expect((await runs.until(allowed, 'succeeded')).steps.read.output).toMatchObject({ found: true, value: 'x' })
})

test('a run reaches the memory of others only by the right to read memories', async () => {
  const { a, kernel } = runs.world
  const limited = await runs.world.person(a, 'limited', 'user')
  const step = { type: 'storage', input: { op: 'get', key: 'k' } }
  const workflow = await runs.save({ read: step })
  const keep = await runs.save({ keep: { type: 'storage', input: { op: 'put', key: 'k', value: 'kept' } } })
  const begin = (id: string, input: object, as?: string) => runs.call('POST', `/api/v1/workflows/${id}/runs`, input, as)
  await runs.until((await begin(keep, { memory_id: 'shared' })).body.run_id, 'succeeded')
  const admin = await begin(workflow, { memory_id: 'shared' })
  expect((await runs.until(admin.body.run_id, 'succeeded')).steps.read.output).toMatchObject({ value: 'kept' })
  for (const memory of ['shared', 'mem:shared', `run:${admin.body.run_id}`, 'of nobody yet'])
    expect(await begin(workflow, { memory_id: memory }, limited)).toMatchObject({
      status: 403,
      body: { error: expect.stringContaining('memory:read') },
    })
  const chat = `/api/v1/workflow-runs/${admin.body.run_id}/chat`
  expect((await runs.call('GET', chat)).status).toBe(200)
  expect((await runs.call('GET', chat, undefined, limited)).status).toBe(403)

  // What is their own goes on: by naming an earlier run of theirs, and from a run to those below it.
  const own = (await begin(keep, {}, limited)).body.run_id
  await runs.until(own, 'succeeded')
  const next = await begin(workflow, { memory_id: `run:${own}` }, limited)
  expect((await runs.until(next.body.run_id, 'succeeded')).steps.read.output).toMatchObject({ value: 'kept' })
  const nested = (memory: string) => ({
    put: { type: 'storage', input: { op: 'put', key: 'k', value: 'above' } },
    sub: { type: 'subworkflow', workflow_id: workflow, depends_on: ['put'], input: { memory_id: memory } },
  })
  const below = await begin(await runs.save(nested('run:${run.id}')), {}, limited)
  expect((await runs.until(below.body.run_id, 'succeeded')).steps.sub.output).toMatchObject({
    read: { value: 'above' },
  })
  const foreign = await begin(await runs.save(nested('shared')), {}, limited)
  expect((await runs.until(foreign.body.run_id, 'failed')).error.message).toContain('memory:read')

  // Not around the run either: a job that is submitted for the verb itself.
  await kernel.db.tenant(a.id, (tx) =>
    tx.run(
      sql`insert into roles (tenant_id, name, patterns) values (${a.id}, 'storer', '{job:submit,job:read,workflow:storage}')`,
    ),
  )
  const storer = await runs.world.person(a, 'storer', 'storer')
  const body = { prompt: 'x', topic: 'job.wh.workflow.storage', context: { op: 'get', key: 'k' }, memory_id: 'shared' }
  const job = (await runs.call('POST', '/api/v1/jobs', body, storer)).body.job_id
  await expect
    .poll(async () => (await runs.call('GET', `/api/v1/jobs/${job}`)).body, { timeout: 10_000 })
    .toMatchObject({ state: 'FAILED', error_code: 'PERM_DENIED' })
})

test('an approval does not count for a rerun with another input, or by somebody else', async () => {
  const workflow = await runs.save({
    approve: { type: 'approval' },
    deploy: { topic: 'job.echo', depends_on: ['approve'], input: { n: '${input.n}' } },
    after: { topic: 'job.echo', depends_on: ['deploy'], input: { n: '${input.n}' } },
  })
  const run = await runs.start(workflow, { n: 1 })
  await runs.decide(workflow, run, 'approve', { approved: true })
  await runs.until(run, 'succeeded')
  const rerun = (body: object, as?: string) => runs.call('POST', `/api/v1/workflow-runs/${run}/rerun`, body, as)
  const same = await rerun({ from_step: 'deploy' })
  expect((await runs.until(same.body.run_id, 'succeeded')).steps.approve.status).toBe('succeeded')
  const edited = await rerun({ from_step: 'deploy', input: { n: 2 } })
  expect((await runs.until(edited.body.run_id, 'waiting')).steps).toMatchObject({
    approve: { status: 'waiting' },
    deploy: { status: 'pending' },
  })
  expect((await runs.decide(workflow, edited.body.run_id, 'approve', { approved: true })).status).toBe(204)
  expect((await runs.until(edited.body.run_id, 'succeeded')).steps.deploy.output.got).toEqual({ n: 2 })
  const other = await rerun({ from_step: 'deploy' }, await runs.world.person(runs.world.a, 'other', 'operator'))
  expect((await runs.until(other.body.run_id, 'waiting')).steps.approve.status).toBe('waiting')
  expect(await rerun({ from_step: 'after', input: { n: 3 } })).toMatchObject({
    status: 400,
    body: { error: expect.stringContaining('begin from_step approve') },
  })
})

test('a rerun of a dry run takes none of its steps for done', async () => {
  const workflow = await runs.save({
    approve: { type: 'approval' },
    deploy: { topic: 'job.echo', depends_on: ['approve'], input: {} },
  })
  const dry = await runs.start(workflow, {}, '?dry_run=true')
  expect(await runs.call('POST', `/api/v1/workflow-runs/${dry}/rerun`, { from_step: 'deploy' })).toMatchObject({
    status: 400,
    body: { error: expect.stringContaining('rerun it from the beginning') },
  })
  const whole = await runs.call('POST', `/api/v1/workflow-runs/${dry}/rerun`, {})
  expect((await runs.until(whole.body.run_id, 'waiting')).steps.approve.status).toBe('waiting')
})

test('an http step does not say where its request ends or to whom it goes', async () => {
  for (const header of ['Host', 'Transfer-Encoding', 'content-length ']) {
    const step = { type: 'http', input: { url: 'http://127.0.0.1:1/', headers: { [header]: '5' } } }
    const done = await runs.until(await runs.start(await runs.save({ step })), 'failed')
    expect(done.error.message).toContain('is set by the platform')
  }
})

test('a memory has at most ten thousand chunks', async () => {
  const { a, kernel } = runs.world
  await kernel.db.tenant(a.id, async (tx) => {
    await tx.run(sql`
      insert into memory_chunks (tenant_id, memory_id, name, body, expires_at)
      select ${a.id}, 'full', 'c' || n, '{"path": "p", "content": ""}', now() + interval '1 day' from generate_series(1, 10000) n`)
    const put = (name: string) =>
      writePart(tx, { memoryId: 'full', kind: 'chunk', name }, { path: 'p', content: '' }, kernel.clock.now(), 60_000)
    await put('c1')
    await expect(put('one more')).rejects.toThrow('at most 10000 chunks')
  })
})
