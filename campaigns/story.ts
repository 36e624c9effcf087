import { type ChildProcess, spawn } from 'node:child_process'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Connection } from '../tests/server-process.ts'
import { type Answer, Api } from './api.ts'
import type { Installation } from './installation.ts'
import { Journal, readLines } from './journal.ts'

/** What the client was told and may hold the server to. */
export type Entry =
  | { kind: 'job'; key: string; jobId: string; asks: boolean }
  | { kind: 'decision'; jobId: string; decision: 'approve' | 'reject'; at: number }
  | { kind: 'try'; key: string }
  | { kind: 'command'; key: string; status: number; jobId?: string; exitCode?: number | null }
  | { kind: 'environment'; key: string; id: string }
  | { kind: 'artifact'; pointer: string; content: string }
  | { kind: 'timer'; key: string; jobId: string }
  | { kind: 'run'; key: string; runId: string }
  | { kind: 'anomaly'; what: string }

/** What the worker writes down of a job when it performs it. */
export interface Performed {
  jobId: string
  attempt: number
  at: number
}

export interface Pace {
  /** Milliseconds between two of each kind. */
  jobs: number
  commands: number
  changes: number
  /** The worker publishes its results once and asks nothing. */
  plainWorker?: boolean
  /** Jobs a second instead of one each `jobs` milliseconds; then also jobs that nobody answers, which time must end. */
  rate?: number
}

/** Of a story with a rate: submits that are not acknowledged yet, at most. Whoever is beyond it waits, as a client of this size would. */
const MOST_OPEN = 400
const TICK_MS = 20
/** Between two runs of the workflow. */
const RUNS_MS = 1_200

/** Three steps: somebody agrees, a second passes, and a worker does what there is to do for each of these. */
export const FAN = 20
export const DELAY_MS = 1_000
const FLOW = {
  id: 'campaign-flow',
  name: 'Campaign',
  steps: {
    ask: { type: 'approval' },
    wait: { type: 'delay', depends_on: ['ask'], delay_sec: DELAY_MS / 1000 },
    fan: {
      type: 'worker',
      topic: 'job.campaign.work',
      depends_on: ['wait'],
      for_each: 'input.items',
      max_parallel: 8,
      input: { n: '${item}' },
    },
  },
}

/** Answers that say: not now. Everything else but success is told as an anomaly. */
function isLater({ status, body }: Answer): boolean {
  // The release document's word for a database that is away comes as 500.
  return [429, 502, 503, 504].includes(status) || JSON.stringify(body).includes('"SYS_STORAGE"')
}
const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))

/**
 * The story that runs while processes are killed: jobs to a CAP worker in a process of its own, some of which wait for a decision,
 * commands on this host that leave a mark, and changes that are repeated until they are acknowledged.
 */
export class Story {
  readonly journal: Journal<Entry>
  readonly #workerEffects: string
  readonly commandEffects: string
  readonly api: Api
  readonly #installation: Installation
  readonly #pace: Pace
  #worker: ChildProcess | undefined
  #running = true
  #loops: Promise<void>[] = []
  #number = 0
  #decided = 0
  /** Held jobs that nobody has decided on. */
  #asked: string[] = []
  #commands = new Set<Promise<void>>()
  readonly #open = new Set<Promise<void>>()
  instanceId = ''
  /** Tenant, user and key as the first start made them. */
  readonly firstConnection: Connection

  constructor(installation: Installation, pace: Pace) {
    this.#installation = installation
    this.#pace = pace
    this.firstConnection = installation.connection
    this.journal = new Journal(join(installation.home, 'journal.ndjson'), pace.rate === undefined)
    this.#workerEffects = join(installation.home, 'worker-effects.ndjson')
    this.commandEffects = join(installation.effects, 'commands')
    this.api = new Api(installation.url, installation.connection.admin.apiKey)
  }

  /** Waits for the agent, makes the worker's key, starts the worker, then begins to act. */
  async begin(): Promise<void> {
    this.instanceId = await this.#instance()
    const key = await this.#workerKey()
    this.#worker = await this.#startWorker(key)
    await this.#until('the workflow', [200, 201], () => this.api.call('POST', '/api/v1/workflows', { body: FLOW }))
    this.#loops = [
      ...(this.#pace.rate === undefined
        ? [this.#every(this.#pace.jobs, () => this.submit())]
        : [this.#flood(this.#pace.rate), this.#every(400, () => this.#timer())]),
      this.#every(this.#pace.jobs, () => this.#decide()),
      this.#every(this.#pace.commands, async () => this.#inBackground(this.command())),
      this.#every(this.#pace.changes, () => this.environment()),
      this.#every(this.#pace.changes, () => this.artifact()),
      this.#every(RUNS_MS, () => this.run()),
    ]
  }

  /** Begins nothing new; what was begun is brought to its acknowledgement. */
  async settle(): Promise<void> {
    this.#running = false
    await Promise.all(this.#loops)
    await Promise.all(this.#open)
    while (this.#asked.length > 0) await this.#decide()
    await Promise.all(this.#commands)
  }

  async close(): Promise<void> {
    this.#running = false
    this.journal.close()
    if (!this.#worker || this.#worker.exitCode !== null) return
    const gone = new Promise((resolve) => this.#worker?.once('exit', resolve))
    this.#worker.kill('SIGTERM')
    await gone
  }

  /** One job, repeated under the same key until it is acknowledged. Returns its id. */
  async submit(options: { asks?: boolean } = {}): Promise<string> {
    const number = this.#number++
    const asks = options.asks ?? number % (this.#pace.rate === undefined ? 5 : 50) === 4
    const key = `job-${number}`
    const topic = asks ? 'job.campaign.ask' : 'job.campaign.work'
    const { body } = await this.#until(`submit of ${key}`, [200], () =>
      this.api.call('POST', '/api/v1/jobs', {
        body: { prompt: key, topic, idempotency_key: key, context: { number } },
      }),
    )
    const { job_id: jobId } = body as { job_id: string }
    this.journal.write({ kind: 'job', key, jobId, asks })
    if (asks) this.#asked.push(jobId)
    return jobId
  }

  /** So many jobs a second, whatever becomes of those before, but for a bound on what is open. */
  async #flood(rate: number): Promise<void> {
    let owed = 0
    for (let last = Date.now(); this.#running;) {
      await pause(TICK_MS)
      const now = Date.now()
      owed = Math.min(owed + (rate * (now - last)) / 1000, rate / 4)
      last = now
      for (; owed >= 1 && this.#open.size < MOST_OPEN; owed--) {
        const submitted = this.submit().then(
          () => undefined,
          (error: unknown) => {
            if (!(error instanceof Refused)) this.#anomaly(String(error))
          },
        )
        this.#open.add(submitted)
        void submitted.finally(() => this.#open.delete(submitted))
      }
    }
  }

  /** A job that its worker never answers: its deadline ends it. */
  async #timer(): Promise<void> {
    const number = this.#number++
    const key = `timer-${number}`
    const { body } = await this.#until(`submit of ${key}`, [200], () =>
      this.api.call('POST', '/api/v1/jobs', {
        body: {
          prompt: key,
          topic: 'job.campaign.void',
          idempotency_key: key,
          deadline_ms: 1_500 + (number % 7) * 500,
        },
      }),
    )
    this.journal.write({ kind: 'timer', key, jobId: (body as { job_id: string }).job_id })
  }

  /** One run, started under a key until that is acknowledged, then agreed to. */
  async run(): Promise<void> {
    const key = `run-${this.#number++}`
    const path = `/api/v1/workflows/${FLOW.id}/runs`
    const { body } = await this.#until(`start of ${key}`, [200, 201], () =>
      this.api.call('POST', `${path}?idempotency_key=${key}`, {
        body: { items: Array.from({ length: FAN }, (_, n) => n) },
      }),
    )
    const { run_id: runId } = body as { run_id: string }
    this.journal.write({ kind: 'run', key, runId })
    await this.#until(`agreement to ${key}`, [204], async () => {
      const answer = await this.api.call('POST', `${path}/${runId}/steps/ask/approve`, { body: { approved: true } })
      if (answer.status !== 400 && answer.status !== 409) return answer
      // `step not waiting`: it is not there yet, or the answer that was lost said yes.
      const step = await this.#stepOf(runId, 'ask')
      return step === 'succeeded' ? { status: 204, body: null } : { status: 503, body: answer.body }
    })
  }

  async #stepOf(runId: string, step: string): Promise<string | undefined> {
    const { body } = await this.#until(`run ${runId}`, [200], () =>
      this.api.call('GET', `/api/v1/workflow-runs/${runId}`),
    )
    return (body as { steps: Record<string, { status: string }> }).steps[step]?.status
  }

  /** Approves one held job, rejects the next. */
  async #decide(): Promise<void> {
    const jobId = this.#asked.shift()
    if (jobId === undefined) return
    const decision = this.#decided++ % 2 === 0 ? 'approve' : 'reject'
    this.journal.write({ kind: 'decision', jobId, decision, at: Date.now() })
    let tries = 0
    await this.#until(`decision on ${jobId}`, [200], async () => {
      const answer = await this.api.call('POST', `/api/v1/approvals/${jobId}/${decision}`, {
        body: { reason: 'campaign' },
      })
      // Told by the answer that was lost: the decision stands.
      if (answer.status === 409 && tries++ > 0 && (await this.stateOf(jobId)) !== 'APPROVAL_REQUIRED')
        return { status: 200, body: null }
      // The job is there, its hold not yet: policy was away when it came in.
      if (answer.status === 409) return { status: 503, body: answer.body }
      return answer
    })
  }

  /** One command on this host. It is never repeated: whether a lost answer meant that it ran, the server must know. */
  async command(): Promise<boolean> {
    const key = `command-${this.#number++}`
    this.journal.write({ kind: 'try', key })
    const seconds = this.#number % 3 === 0 ? 1 : 0.05
    const line = `echo ${key} >> ${this.commandEffects}; sleep ${seconds}`
    try {
      const { status, body } = await this.api.call('POST', '/api/v1/commands', {
        body: { instanceId: this.instanceId, command: '/bin/sh', args: ['-c', line], timeoutMs: 20_000 },
        timeoutMs: 40_000,
      })
      const { jobId, exitCode } = (body ?? {}) as { jobId?: string; exitCode?: number | null }
      this.journal.write({
        kind: 'command',
        key,
        status,
        ...(jobId ? { jobId } : {}),
        ...(exitCode === undefined ? {} : { exitCode }),
      })
      if (![200, 201, 202].includes(status) && !isLater({ status, body }))
        this.#anomaly(`command ${key}: ${status} ${JSON.stringify(body)}`)
      return status < 300 && exitCode === 0
    } catch {
      // The connection went with a process; the journal has the try.
      return false
    }
  }

  /** One change with an idempotency key, repeated until it is acknowledged. */
  async environment(): Promise<void> {
    const number = this.#number++
    const key = `env-${number}`
    const { body } = await this.#until(`change ${key}`, [200, 201], () =>
      this.api.call('POST', '/api/v1/environments', {
        body: { name: key, displayName: key, orderIndex: number },
        headers: { 'idempotency-key': key },
      }),
    )
    const { id } = ((body as { data?: { id: string } }).data ?? body) as { id: string }
    this.journal.write({ kind: 'environment', key, id })
  }

  /** One blob, sent again until it is acknowledged. */
  async artifact(): Promise<void> {
    const content = `artifact ${this.#number++} ${'x'.repeat(2000)}`
    const { body } = await this.#until('upload', [200], () =>
      this.api.call('POST', '/api/v1/artifacts', { body: { content, content_type: 'text/plain' } }),
    )
    this.journal.write({ kind: 'artifact', pointer: (body as { artifact_ptr: string }).artifact_ptr, content })
  }

  /** What the worker has performed, as often as it did. */
  performed(): Performed[] {
    return readLines(this.#workerEffects).map((line) => JSON.parse(line) as Performed)
  }

  /** The blob behind a pointer; undefined when the server does not know it. */
  async contentOf(pointer: string): Promise<string | undefined> {
    const { status, body } = await this.#until(`read of ${pointer}`, [200, 404], () =>
      this.api.call('GET', `/api/v1/artifacts/${encodeURIComponent(pointer)}`),
    )
    return status === 404
      ? undefined
      : Buffer.from((body as { content_base64: string }).content_base64, 'base64').toString()
  }

  /** The documented word for a job's state; undefined when the job is not known. */
  async stateOf(jobId: string): Promise<string | undefined> {
    const { status, body } = await this.#until(`state of ${jobId}`, [200, 404], () =>
      this.api.call('GET', `/api/v1/jobs/${jobId}`),
    )
    return status === 404 ? undefined : (body as { state: string }).state
  }

  #anomaly(what: string): void {
    this.journal.write({ kind: 'anomaly', what })
  }

  async #until(what: string, wanted: readonly number[], attempt: () => Promise<Answer>): Promise<Answer> {
    const deadline = Date.now() + 120_000
    for (;;) {
      try {
        const answer = await attempt()
        if (wanted.includes(answer.status)) return answer
        if (!isLater(answer)) this.#anomaly(`${what}: ${answer.status} ${JSON.stringify(answer.body)}`)
        // A refusal that is not about the moment does not change.
        if (answer.status >= 400 && answer.status < 500 && answer.status !== 429)
          throw new Refused(`${what}: ${answer.status} ${JSON.stringify(answer.body)}`)
      } catch (error) {
        if (error instanceof Refused) throw error
      }
      if (Date.now() > deadline) throw new Error(`not within two minutes: ${what}`)
      await pause(50)
    }
  }

  async #every(ms: number, act: () => Promise<unknown>): Promise<void> {
    while (this.#running) {
      // What was refused is noted; the story goes on.
      await act().catch((error: unknown) => {
        if (!(error instanceof Refused)) this.#anomaly(String(error))
      })
      await pause(ms)
    }
  }

  async #inBackground(work: Promise<unknown>): Promise<void> {
    const tracked = work.then(() => undefined)
    this.#commands.add(tracked)
    void tracked.finally(() => this.#commands.delete(tracked))
    // Not more at once than a person would watch.
    if (this.#commands.size >= 6) await Promise.race(this.#commands)
  }

  async #instance(): Promise<string> {
    let id: string | undefined
    for (const deadline = Date.now() + 60_000; id === undefined; await pause(100)) {
      const { body } = await this.#until('the fleet', [200], () => this.api.call('GET', '/api/v1/instances'))
      const { instances } = body as { instances: { id: string; name: string; status: string }[] }
      id = instances.find(({ name, status }) => name === hostname() && status === 'RUNNING')?.id
      if (Date.now() > deadline) throw new Error('the agent of this host did not come')
    }
    return id
  }

  async #workerKey(): Promise<string> {
    const { body } = await this.#until('the key of the worker', [200, 201], () =>
      this.api.call('POST', '/api/v1/keys', {
        body: {
          name: 'campaign worker',
          account: 'tenant',
          admin: true,
          pub: { allow: ['sys.job.result', 'sys.job.progress', 'sys.heartbeat'] },
          sub: { allow: ['job.campaign.>', 'worker.>'] },
        },
      }),
    )
    return (body as { token: string }).token
  }

  #startWorker(key: string): Promise<ChildProcess> {
    const child = spawn(process.execPath, [WORKER], {
      env: {
        PATH: process.env['PATH'],
        WORKER_URL: this.#installation.url,
        WORKER_NATS: this.#installation.natsUrl,
        WORKER_KEY: key,
        WORKER_EFFECTS: this.#workerEffects,
        WORKER_ID: 'campaign-worker',
        WORKER_PLAIN: this.#pace.plainWorker ? '1' : '0',
        WORKER_BUSY: this.#pace.rate === undefined ? '0' : '1',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    return new Promise((resolve, reject) => {
      child.stdout.once('data', () => resolve(child))
      child.once('exit', (code) => reject(new Error(`the worker ended with ${code}`)))
    })
  }
}

class Refused extends Error {}
