import { create } from '@bufbuild/protobuf'
import { Fault } from '@wheelhouse/contract'
import { JobResultSchema, JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { Type } from 'typebox'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Ended, Run, Verb } from '../../kernel/jobs/index.ts'
import { capWorker, type CapWorker } from '../cap-worker.ts'
import type { World } from '../world.ts'

/** Topics of the model, each with one fate that policy and workers give it. */
export const TOPICS = {
  free: 'job.model.free',
  again: 'job.model.again',
  ask: 'job.model.ask',
  askTwo: 'job.model.ask-two',
  no: 'job.model.no',
  later: 'job.model.later',
  nobody: 'job.model.nobody',
  unmapped: 'job.model.unmapped',
  act: 'job.wh.test.model.act',
  actAsk: 'job.wh.test.model.ask',
} as const
export type TopicName = keyof typeof TOPICS

const POLICY = `version: "1"
rules:
  - {id: m-ask, match: {topics: [${TOPICS.ask}, ${TOPICS.actAsk}]}, decision: require_approval, reason: asked}
  - {id: m-two, match: {topics: [${TOPICS.askTwo}]}, decision: require_approval, approval: {required: 2}}
  - {id: m-no, match: {topics: [${TOPICS.no}]}, decision: deny, reason: never}
  - {id: m-later, match: {topics: [${TOPICS.later}]}, decision: throttle, reason: busy}
  - {id: m-free, match: {topics: [job.model.*, job.wh.test.model.*]}, decision: allow}
`

const SERVED = [TOPICS.free, TOPICS.again, TOPICS.ask, TOPICS.askTwo, TOPICS.no, TOPICS.later]

const Anything = Type.Object({})
const ARRIVAL_MS = 30_000

/** Work that has been handed out: the claim's fence, or the verb that waits to be told how it ends. */
interface Arrival {
  fence: number
  end?: (how: 'succeeded' | 'failed' | 'retriable') => void
}

/** Where jobs arrive that the model has submitted: a worker, and verbs, that do nothing until they are told. */
export class JobDesk {
  readonly world: World
  readonly people: Readonly<Record<'ann' | 'bob' | 'cat', Principal>>
  readonly verbs: Readonly<Record<'act' | 'actAsk', Verb<typeof Anything, typeof Anything>>>
  /** How the verbs of jobs were settled. */
  readonly settled = new Map<string, Ended<unknown>['kind'][]>()
  readonly #arrivals = new Map<string, Arrival[]>()
  readonly #waiting = new Map<string, () => void>()
  #worker: CapWorker | undefined
  #beat: NodeJS.Timeout | undefined

  private constructor(world: World, people: JobDesk['people']) {
    this.world = world
    this.people = people
    this.verbs = { act: this.#verb('model:act', TOPICS.act), actAsk: this.#verb('model:ask', TOPICS.actAsk) }
  }

  static async open(world: World): Promise<JobDesk> {
    const { kernel, a } = world
    const [ann, bob, cat] = [
      await world.principal(a.keys.admin),
      await world.principal(await world.person(a, 'bob')),
      await world.principal(await world.person(a, 'cat')),
    ]
    const desk = new JobDesk(world, { ann, bob, cat })
    kernel.jobs.register(desk.verbs.act)
    kernel.jobs.register(desk.verbs.actAsk)
    await world.publish('secops/model', POLICY)
    const { status } = await world.call('POST', '/api/v1/config', {
      body: {
        scope: 'system',
        scope_id: 'default',
        data: {
          timeouts: { topics: { [TOPICS.again]: { max_retries: 1 } } },
          pools: {
            topics: { ...Object.fromEntries(SERVED.map((topic) => [topic, 'model'])), [TOPICS.nobody]: 'empty' },
            pools: {},
          },
        },
      },
    })
    if (status >= 300) throw new Error(`the configuration was refused: ${status}`)
    await desk.#openWorker()
    return desk
  }

  async close(): Promise<void> {
    clearInterval(this.#beat)
    await this.#worker?.close()
  }

  async #openWorker(): Promise<void> {
    this.#worker = await capWorker(this.world, this.world.a, {
      id: 'model',
      pool: 'model',
      work: ({ jobId, attempt }) => {
        this.#arrived(jobId, { fence: attempt })
        return undefined
      },
    })
    const beat = (): void => this.#worker?.heartbeat({ pool: 'model', capabilities: SERVED, maxParallelJobs: 5000 })
    beat()
    this.#beat = setInterval(beat, 5000)
  }

  #verb(name: Verb['name'], topic: Verb['topic']): Verb<typeof Anything, typeof Anything> {
    return {
      name,
      topic,
      input: Anything,
      output: Anything,
      risk: ['write'],
      timeoutMs: 120_000,
      maxAttempts: 2,
      facts: () => Promise.resolve({}),
      perform: (run) => this.#perform(run),
      settle: (tx, jobId, _input, { kind }) => {
        tx.afterCommit(() => void this.settled.set(jobId, [...(this.settled.get(jobId) ?? []), kind]))
        return Promise.resolve()
      },
    }
  }

  #perform({ jobId, fence, signal }: Run<unknown>): Promise<Record<string, never>> {
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      this.#arrived(jobId, {
        fence,
        end: (how) => {
          if (how === 'succeeded') resolve({})
          else if (how === 'failed') reject(new Fault('VAL_SCHEMA', {}, { message: 'meant to fail' }))
          else reject(new Fault('EGRESS_FAILED', {}, { message: 'meant to be tried again', retryAfterMs: 10 }))
        },
      })
    })
  }

  #arrived(jobId: string, arrival: Arrival): void {
    this.#arrivals.set(jobId, [...(this.#arrivals.get(jobId) ?? []), arrival])
    this.#waiting.get(jobId)?.()
  }

  /** How often the job was handed out so far. */
  count = (jobId: string): number => this.#arrivals.get(jobId)?.length ?? 0

  /** The job is in a worker's or verb's hands for the `nth` time. */
  async arrival(jobId: string, nth: number): Promise<Arrival> {
    const until = performance.now() + ARRIVAL_MS
    while (this.count(jobId) < nth) {
      const left = until - performance.now()
      if (left <= 0) throw new Error(`job ${jobId} was handed out ${this.count(jobId)} times, not ${nth}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#waiting.set(jobId, () => {
          clearTimeout(timer)
          resolve()
        })
      })
      this.#waiting.delete(jobId)
    }
    return this.#arrivals.get(jobId)?.[nth - 1] as Arrival
  }

  /** A worker's word about a job. */
  sendResult(jobId: string, status: JobStatus, attempt: number): void {
    this.#worker?.send('sys.job.result', {
      case: 'jobResult',
      value: create(JobResultSchema, { jobId, workerId: 'model', status, attempt, errorCode: 'model' }),
    })
  }

  /** Every result sent so far was taken in, or passed over: one that is sent now has been. */
  async flush(): Promise<void> {
    const submitted = await this.world.kernel.jobs.submitBatched(this.people.ann, {
      request: { topic: TOPICS.free, tenant: this.world.a.slug, principalId: 'ann' },
      context: '{}',
    })
    const { fence } = await this.arrival(submitted.jobId, 1)
    this.sendResult(submitted.jobId, JobStatus.SUCCEEDED, fence)
    await this.world.kernel.jobs.wait(this.world.a.id, submitted.jobId, ARRIVAL_MS)
  }
}
