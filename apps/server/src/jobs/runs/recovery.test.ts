import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sql } from '../../kernel/db/index.ts'
import { openRuns, type Runs } from '../../testing/runs.ts'

/** What one run leaves behind when the engine stands still and another one takes over. */
let runs: Runs
beforeAll(async () => {
  runs = await openRuns()
})
afterAll(() => runs.close())

const restart = async (between?: () => Promise<unknown>) => {
  await runs.world.kernel.workflows.stop()
  await between?.()
  runs.world.kernel.workflows.start()
}

test('a run whose engine stopped goes on where it was', async () => {
  const workflow = await runs.save({
    ask: { type: 'approval' },
    work: { topic: 'job.echo', depends_on: ['ask'], input: { n: 1 } },
    wait: { type: 'delay', depends_on: ['work'], delay_sec: 0.5 },
    last: { topic: 'job.echo', depends_on: ['wait'], input: { n: 2 } },
  })
  const run = await runs.start(workflow)
  await runs.world.kernel.workflows.stop()
  // Decided while nobody drives runs: whoever decides lets the run take it in.
  expect((await runs.decide(workflow, run, 'ask', { approved: true })).status).toBe(204)
  // The job ends while nobody listens: its end waits in the inbox.
  await expect.poll(async () => (await runs.call('GET', `/api/v1/jobs/${run}:work@1`)).body.state).toBe('SUCCEEDED')
  expect((await runs.get(run)).steps.work.status).toBe('running')
  runs.world.kernel.workflows.start()
  await expect.poll(async () => (await runs.get(run)).steps.wait.status).toBe('waiting')
  await restart()
  const done = await runs.until(run, 'succeeded')
  expect(done.output).toMatchObject({ last: { got: { n: 2 } } })
  expect(runs.asked.get(`${run}:work`)).toBe(1)
})

test('children that had not begun when the engine stopped are begun by the next one, each once', async () => {
  const workflow = await runs.save({
    fan: { topic: 'job.echo', for_each: 'input.items', max_parallel: 0, input: { n: '${item}' } },
  })
  const run = await runs.start(workflow, { items: Array.from({ length: 520 }, (_, n) => n) })
  await restart()
  await restart()
  const done = await runs.until(run, 'succeeded', 40_000)
  expect(done.steps.fan.output).toHaveLength(520)
  expect([...runs.asked].filter(([step, times]) => step.startsWith(`${run}:fan[`) && times === 1)).toHaveLength(520)
}, 60_000)

test('an end that is told twice, and one of an attempt that is over, change nothing', async () => {
  const { a, kernel } = runs.world
  const workflow = await runs.save({ work: { topic: 'job.echo', input: { n: 1 } }, hold: { type: 'approval' } })
  const run = await runs.start(workflow)
  await expect.poll(async () => (await runs.get(run)).steps.work.status).toBe('succeeded')
  const before = await runs.get(run)
  await kernel.db.tenant(a.id, (tx) =>
    tx.run(sql`
      insert into run_inbox (tenant_id, run_id, kind, step_key, job_id)
      values (${a.id}, ${run}, 'job-ended', 'work', ${`${run}:work@1`}), (${a.id}, ${run}, 'job-ended', 'nothing', 'none')`),
  )
  await expect
    .poll(() => kernel.db.tenant(a.id, (tx) => tx.many(sql`select 1 from run_inbox where run_id = ${run}`)))
    .toEqual([])
  expect(await runs.get(run)).toEqual(before)
})

/** An engine in a process of its own, that dies at a named moment. */
function engine(point: string): { child: ChildProcess; output: string[] } {
  const { kernel, databaseUrl } = runs.world
  const child = fork(fileURLToPath(new URL('../../testing/engine-process.ts', import.meta.url)), {
    env: { ...process.env, WHEELHOUSE_CRASH_POINT: point },
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  })
  const output: string[] = []
  child.stderr?.on('data', (chunk) => output.push(String(chunk)))
  child.send({
    databaseUrl,
    dataDir: kernel.config.dataDir,
    nats: { url: kernel.natsUrls.client, keys: kernel.bus.keys },
    log: '/dev/null',
  })
  return { child, output }
}

test.each(['run:before-commit', 'run:after-commit', 'submit:before-commit'])(
  'an engine killed at %s leaves a run that the next one ends, with each step done once',
  async (point) => {
    const workflow = await runs.save({
      ask: { type: 'approval' },
      one: { topic: 'job.echo', depends_on: ['ask'], input: { n: 1 } },
      two: { topic: 'job.echo', depends_on: ['one'], input: { n: 2 } },
    })
    const run = await runs.start(workflow)
    await runs.world.kernel.workflows.stop()
    const { a, kernel } = runs.world
    const { child, output } = engine(point)
    try {
      const ended = once(child, 'exit')
      // Told as a decision is told, to be taken in by the other process alone.
      await kernel.db.tenant(a.id, (tx) =>
        tx.run(sql`
          insert into run_inbox (tenant_id, run_id, kind, step_key, body)
          values (${a.id}, ${run}, 'decided', 'ask', '{"approved": true, "by": "somebody"}')`),
      )
      await Promise.race([
        ended,
        new Promise((_, reject) => {
          setTimeout(() => reject(new Error(`it did not die: ${output.join('')}`)), 20_000).unref()
        }),
      ])
      expect(output.join('')).toContain(`killed at ${point}`)
    } finally {
      child.kill('SIGKILL')
      runs.world.kernel.workflows.start()
    }
    const done = await runs.until(run, 'succeeded', 15_000)
    expect(done.output).toMatchObject({ two: { got: { n: 2 } } })
    expect([runs.asked.get(`${run}:one`), runs.asked.get(`${run}:two`)]).toEqual([1, 1])
  },
  40_000,
)

test('a run is watched as it goes on, from its first event to its end', async () => {
  const workflow = await runs.save({
    ask: { type: 'approval' },
    after: { type: 'transform', depends_on: ['ask'], input: { a: 1 } },
  })
  const run = await runs.start(workflow)
  const response = await fetch(`${runs.world.url}/wheelhouse/api/v1/workflow-runs/${run}/stream`, {
    headers: { authorization: `Bearer ${runs.world.a.keys.viewer}` },
  })
  expect(response.headers.get('content-type')).toContain('text/event-stream')
  const reading = response.text()
  await runs.decide(workflow, run, 'ask', { approved: true })
  const text = await reading
  const events = [...text.matchAll(/^event: (.+)$/gm)].map(([, name]) => name)
  const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
  expect(events.at(-1)).toBe('end')
  expect(events).toContain('run')
  expect(ids).toEqual(ids.map((_, index) => index + 1))
  expect(text).toContain('"step_approved"')
})
