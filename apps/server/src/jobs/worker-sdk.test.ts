import { setTimeout as pause } from 'node:timers/promises'
import { type JobContext, Worker, type WorkerOptions } from '@wheelhouse/sdk/worker'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createKey } from '../kernel/identity/index.ts'
import { type NatsFixture, startNats } from '../testing/nats.ts'
import { openWorld, type World } from '../testing/world.ts'

let nats: NatsFixture
let world: World
let credentials: string
const open: Worker[] = []

beforeAll(async () => {
  nats = await startNats()
  world = await openWorld({ nats })
  credentials = await workerKey()
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((worker) => worker.stop({ timeoutMs: 0 })))
})
afterAll(async () => {
  await world.close()
  await nats.stop()
})

/** The rights that docs/workers.md names, and no more. */
async function workerKey(): Promise<string> {
  const { kernel, a } = world
  const { token } = await kernel.db.auth((tx) =>
    createKey(tx, kernel.clock.now(), {
      tenantId: a.id,
      ownerId: a.adminId,
      name: 'sdk',
      kind: 'worker',
      roles: ['worker', 'user'],
      account: 'tenant',
      pub: { allow: ['sys.job.result', 'sys.job.progress', 'sys.heartbeat'] },
      sub: { allow: ['job.>', 'worker.>', 'sys.job.cancel'] },
    }),
  )
  return token
}

async function startWorker(
  topics: Record<string, (context: JobContext<{ prompt: string; context: unknown }>) => unknown>,
  options: WorkerOptions = {},
): Promise<Worker> {
  const worker = new Worker({ url: world.url, credentials, onError: () => undefined, ...options })
  for (const [topic, handler] of Object.entries(topics)) worker.handle(topic, handler)
  open.push(worker)
  await worker.start()
  return worker
}

const submit = async (topic: string, more: object = {}): Promise<string> => {
  const { status, body } = await world.call('POST', '/api/v1/jobs', { body: { prompt: 'go', topic, ...more } })
  expect(status).toBe(200)
  return body.job_id
}
const job = (id: string) => world.call('GET', `/api/v1/jobs/${id}`).then(({ body }) => body)
const becomes = (id: string, state: string, timeout = 10_000) =>
  expect.poll(async () => (await job(id)).state, { timeout, interval: 30 }).toBe(state)

describe('a job', () => {
  test('comes with its input, and its output is its result', async () => {
    const seen: JobContext[] = []
    await startWorker({
      'job.sdk.echo': (context) => {
        seen.push(context)
        return { said: context.input.prompt, given: context.input.context }
      },
    })
    const id = await submit('job.sdk.echo', { context: { n: 1 }, labels: { colour: 'red' }, capability: 'echo' })
    await becomes(id, 'SUCCEEDED')
    expect(await job(id)).toMatchObject({
      result: { said: 'go', given: { n: 1 } },
      result_ptr: `redis://res:${id}`,
    })
    expect(seen).toMatchObject([
      { jobId: id, topic: 'job.sdk.echo', attempt: 1, labels: { colour: 'red' }, capability: 'echo' },
    ])
  })

  test('that throws fails with the message, and the code where there is one', async () => {
    await startWorker({
      'job.sdk.bad': () => {
        throw Object.assign(new Error('no paper'), { code: 'printer_empty' })
      },
    })
    const id = await submit('job.sdk.bad')
    await becomes(id, 'FAILED')
    expect(await job(id)).toMatchObject({ error_message: 'no paper', error_code: 'printer_empty' })
  })

  test('hears that it is cancelled', async () => {
    const reasons: unknown[] = []
    await startWorker({
      'job.sdk.slow': (context) =>
        new Promise((_, reject) => {
          context.signal.addEventListener('abort', () => {
            reasons.push(context.signal.reason)
            reject(new Error('stopped'))
          })
        }),
    })
    const id = await submit('job.sdk.slow')
    await becomes(id, 'RUNNING')
    await world.call('POST', `/api/v1/jobs/${id}/cancel`)
    await expect.poll(() => reasons.length).toBe(1)
    await becomes(id, 'CANCELLED')
  })

  test('shows its progress to whoever watches', async () => {
    let go: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (go = resolve))
    await startWorker({
      'job.sdk.progress': async (context) => {
        await gate
        context.progress(40, 'half way')
      },
    })
    const id = await submit('job.sdk.progress')
    const heard: unknown[] = []
    const leave = world.kernel.jobs.watch(world.a.id, id, (signal) => {
      if (signal.kind === 'progress') heard.push([signal.percent, signal.message])
    })
    go()
    await becomes(id, 'SUCCEEDED')
    leave()
    expect(heard).toEqual([[40, 'half way']])
    expect((await job(id)).result).toBeNull()
  })

  test('whose time is over is told so, and says so', async () => {
    await startWorker({
      'job.sdk.late': (context) => new Promise((resolve) => context.signal.addEventListener('abort', () => resolve(1))),
    })
    const id = await submit('job.sdk.late', { deadline_ms: 600 })
    await becomes(id, 'TIMEOUT')
  })

  test('leaves artifacts, which are told with it; its large result becomes one too', async () => {
    await startWorker({
      'job.sdk.files': async (context) => {
        const pointer = await context.artifact('a report', { contentType: 'text/plain', retention: 'short' })
        return { pointer, padding: 'x'.repeat(1_600_000) }
      },
    })
    const id = await submit('job.sdk.files')
    await becomes(id, 'SUCCEEDED')
    const { result_ptr: pointer } = await job(id)
    expect(pointer).toMatch(/^redis:\/\/art:/)
    const kept = await world.call('GET', `/api/v1/artifacts/${encodeURIComponent(pointer)}`)
    const output = JSON.parse(Buffer.from(kept.body.content_base64, 'base64').toString())
    const report = await world.call('GET', `/api/v1/artifacts/${encodeURIComponent(output.pointer)}`)
    expect(Buffer.from(report.body.content_base64, 'base64').toString()).toBe('a report')
  })

  test('submits others on behalf of whoever asked for it', async () => {
    await startWorker({
      'job.sdk.parent': (context) => context.submit('job.sdk.child', { from: context.jobId }),
      'job.sdk.child': (context) => context.input.context,
    })
    const id = await submit('job.sdk.parent')
    await becomes(id, 'SUCCEEDED')
    const child = (await job(id)).result
    await becomes(child, 'SUCCEEDED')
    const { id: asker } = await world.principal(world.a.keys.admin)
    expect(await job(child)).toMatchObject({ result: { from: id }, on_behalf_of: [asker, world.a.adminId] })
  })
})

describe('a worker', () => {
  test('takes as many jobs at once as it says', async () => {
    let now = 0
    let most = 0
    await startWorker(
      {
        'job.sdk.many': async () => {
          now += 1
          most = Math.max(most, now)
          await pause(30)
          now -= 1
        },
      },
      { maxParallel: 3 },
    )
    const ids = await Promise.all(Array.from({ length: 12 }, () => submit('job.sdk.many')))
    for (const id of ids) await becomes(id, 'SUCCEEDED', 20_000)
    expect(most).toBe(3)
  })

  test('that stops lets its jobs end, takes no more, and leaves the rest to others', async () => {
    let go: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (go = resolve))
    const first = await startWorker({ 'job.sdk.drain': () => gate.then(() => ({ by: 'first' })) }, { maxParallel: 1 })
    const running = await submit('job.sdk.drain')
    await expect.poll(() => first.active).toBe(1)
    const stopped = first.stop()
    // What is submitted from now on waits until another is there.
    const seen = () => world.kernel.jobs.workers.find(world.a.id, first.id)?.cpuLoad
    await expect.poll(seen).toBe(100)
    const later = await submit('job.sdk.drain')
    go()
    await stopped
    expect(await job(running)).toMatchObject({ state: 'SUCCEEDED', result: { by: 'first' } })
    expect((await job(later)).state).toBe('PENDING')
    await startWorker({ 'job.sdk.drain': () => ({ by: 'second' }) })
    await becomes(later, 'SUCCEEDED')
    expect((await job(later)).result).toEqual({ by: 'second' })
  })

  test('goes on when the bus was away, and its result is not lost with it', async () => {
    let go: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (go = resolve))
    let runs = 0
    await startWorker({
      'job.sdk.restart': async () => {
        runs += 1
        if (runs > 1) await gate
        return { runs }
      },
    })
    // Once a job came through, the platform knows that somebody listens, and does not ask with the next.
    await becomes(await submit('job.sdk.restart'), 'SUCCEEDED')
    const id = await submit('job.sdk.restart')
    await expect.poll(() => runs).toBe(2)
    await nats.kill()
    go()
    await nats.restart()
    await becomes(id, 'SUCCEEDED', 20_000)
    expect(await job(id)).toMatchObject({ result: { runs: 2 } })
    const after = await submit('job.sdk.restart')
    await becomes(after, 'SUCCEEDED', 20_000)
    expect(runs).toBe(3)
  }, 60_000)

  test('is refused with a credential that is none, and with an id that no subject can carry', async () => {
    const stranger = new Worker({ url: world.url, credentials: 'wh_nobody' })
    await expect(stranger.start()).rejects.toThrow(/401|valid|unauthorized/i)
    expect(() => new Worker({ id: 'a.b' })).toThrow(/dots/)
  })
})
