import { JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { expect } from 'vitest'
import { type CapWorker, capWorker } from './cap-worker.ts'
import { type Answer, openWorld, type World, type WorldOptions } from './world.ts'

/** A world in which workflows run: a worker of tenant a for a few topics, and the calls that every test of runs makes. */
export interface Runs {
  world: World
  worker: CapWorker
  /** Keys of steps (`<run>:<step>`) by how often their job came to the worker. */
  asked: Map<string, number>
  call(method: string, path: string, body?: unknown, as?: string): Promise<Answer>
  /** Saves a definition; its id. */
  save(steps: Record<string, unknown>, more?: Record<string, unknown>): Promise<string>
  /** Starts a run; its id. */
  start(workflow: string, input?: unknown, query?: string): Promise<string>
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into runs of every shape
  get(run: string): Promise<any>
  /** The run once it has that status. */
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  until(run: string, status: string, timeout?: number): Promise<any>
  decide(workflow: string, run: string, step: string, body: unknown, as?: string): Promise<Answer>
  /** Types of the run's timeline, in order. */
  timeline(run: string): Promise<string[]>
  close(): Promise<void>
}

/**
 * Topics: `job.echo` answers `{got: <its input>, index}`, `job.fail` fails, `job.flaky` fails twice and then echoes, `job.silent` never
 * answers, `job.count` gives how often the run asked it.
 */
export async function openRuns(options: WorldOptions = {}): Promise<Runs> {
  const world = await openWorld(options)
  const asked = new Map<string, number>()
  let token = ''
  const result = async (content: unknown) => {
    const made = await world.call('POST', '/api/v1/artifacts', {
      as: token,
      body: { content: JSON.stringify(content), content_type: 'application/json' },
    })
    return { resultPtr: made.body.artifact_ptr as string }
  }
  const worker = await capWorker(world, world.a, {
    id: 'w1',
    topics: ['job.echo', 'job.fail', 'job.flaky', 'job.silent', 'job.count'],
    async work(job) {
      const [step = ''] = job.jobId.split('@')
      const key = job.topic === 'job.count' ? `${job.env['run_id']}:count` : step
      const times = (asked.get(key) ?? 0) + 1
      asked.set(key, times)
      if (job.topic === 'job.silent') return undefined
      if (job.topic === 'job.fail') return { status: JobStatus.FAILED, errorCode: 'broken', errorMessage: 'it broke' }
      if (job.topic === 'job.flaky' && times < 3) return { status: JobStatus.FAILED, errorMessage: `try ${times}` }
      if (job.topic === 'job.count') return result(times)
      const memory = await world.call('GET', `/api/v1/memory?ptr=${encodeURIComponent(job.contextPtr)}`, { as: token })
      return result({ got: memory.body.json, index: job.env['foreach_index'] ?? null })
    },
  })
  token = worker.token
  const call = (method: string, path: string, body?: unknown, as?: string) =>
    world.call(method, path, { ...(body === undefined ? {} : { body }), ...(as === undefined ? {} : { as }) })
  const get = async (run: string) => (await call('GET', `/api/v1/workflow-runs/${run}`)).body
  return {
    world,
    worker,
    asked,
    call,
    get,
    async save(steps, more = {}) {
      const answer = await call('POST', '/api/v1/workflows', { name: 'test', steps, ...more })
      expect(answer).toMatchObject({ status: 201, body: { id: expect.any(String) } })
      return answer.body.id
    },
    async start(workflow, input = {}, query = '') {
      const answer = await call('POST', `/api/v1/workflows/${workflow}/runs${query}`, input)
      expect(answer).toMatchObject({ status: 200, body: { run_id: expect.any(String) } })
      return answer.body.run_id
    },
    async until(run, status, timeout = 10_000) {
      await expect.poll(async () => (await get(run)).status, { timeout, interval: 25 }).toBe(status)
      return get(run)
    },
    decide: (workflow, run, step, body, as) =>
      call('POST', `/api/v1/workflows/${workflow}/runs/${run}/steps/${encodeURIComponent(step)}/approve`, body, as),
    async timeline(run) {
      const { body } = await call('GET', `/api/v1/workflow-runs/${run}/timeline?limit=1000`)
      return body.map((event: { type: string }) => event.type)
    },
    async close() {
      await worker.close()
      await world.close()
    },
  }
}
