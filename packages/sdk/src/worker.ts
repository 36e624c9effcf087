import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  HeartbeatSchema,
  JobProgressSchema,
  type JobRequest,
  JobResultSchema,
  JobStatus,
} from '@wheelhouse/contract/proto/cap_pb'
import type { NatsConnection, Subscription } from '@nats-io/transport-node'
import { type NatsCredentials, openBus, packetBytes, readPacket } from './worker-bus.ts'
import { covers, type Ending, type JobContext, type JobHandler, limitsOf } from './worker-job.ts'
import { openStore, type WorkerStore } from './worker-store.ts'

export type { NatsCredentials } from './worker-bus.ts'
export type { JobContext, JobHandler, PolicyConstraints } from './worker-job.ts'
export type { ArtifactOptions } from './worker-store.ts'

export interface WorkerOptions {
  /** Unique in the tenant, without dots; default: one of the host's name and a random part. */
  id?: string
  /** The server, such as `http://127.0.0.1:8080`. Default: WHEELHOUSE_URL, CORDUM_GATEWAY_URL. */
  url?: string
  /** The bus; default: what the server says, else CORDUM_NATS_URL, NATS_URL. */
  natsUrl?: string
  /** An API key, or a NATS credential already traded for one. Default: WHEELHOUSE_API_KEY, CORDUM_API_KEY. */
  credentials?: string | NatsCredentials
  /** A Redis that the server shares with workers. Default: CORDUM_REDIS_URL; absent: inputs and results go by the API. */
  redisUrl?: string
  /** Default `default`. */
  pool?: string
  /** Further subjects to listen on beside the handled topics. */
  subjects?: readonly string[]
  capabilities?: readonly string[]
  /** Jobs at the same time; default 4. */
  maxParallel?: number
  /** For placement. */
  labels?: Readonly<Record<string, string>>
  region?: string
  type?: string
  /** ECDSA P-256 private key (PEM), with which packets are signed. */
  signer?: string | KeyObject
  /** How loaded the host is, 0 to 100; from 90 the worker gets no jobs. */
  load?(): { cpuLoad?: number; gpuUtilization?: number }
  /** Hears what went wrong beside the jobs themselves; default: standard error. */
  onError?(error: unknown): void
}

const HEARTBEAT_MS = 5000
/** What was sent to this worker before the platform heard that it stops arrives within. */
const LAST_JOBS_MS = 400
const RESULT_TIMEOUT_MS = 3000
const REMEMBERED = 10_000

interface Running {
  request: JobRequest
  traceId: string
  stop: AbortController
  ended: Ending | undefined
}

type Outcome = Pick<MessageInitShape<typeof JobResultSchema>, 'resultPtr' | 'errorCode' | 'errorMessage'> & {
  status: JobStatus
}

const variable = (...names: string[]): string | undefined =>
  names.map((name) => process.env[name]).find((value) => value !== undefined && value !== '')

/**
 * A CAP worker (jobs.md §29): takes jobs of its topics and those sent to it directly, as many at once as it says, tells of progress,
 * heeds cancels and time, stores results and tells of each until the platform has it. A job that comes twice is done once.
 */
export class Worker {
  readonly id: string
  readonly #options: WorkerOptions
  readonly #handlers = new Map<string, JobHandler>()
  readonly #running = new Map<string, Running>()
  /** Claims that were taken, with the result once there is one. */
  readonly #taken = new Map<string, Uint8Array | undefined>()
  #waiting: { request: JobRequest; traceId: string }[] = []
  readonly #signer: KeyObject | undefined
  #connection: NatsConnection | undefined
  #store: WorkerStore | undefined
  #subscriptions: Subscription[] = []
  #beating: NodeJS.Timeout | undefined
  #state: 'new' | 'started' | 'stopping' | 'stopped' = 'new'
  #idle: (() => void)[] = []
  #stopped: Promise<void> | undefined

  constructor(options: WorkerOptions = {}) {
    this.#options = options
    this.id =
      options.id ??
      `${hostname()
        .replaceAll(/[^A-Za-z0-9-]/g, '-')
        .slice(0, 80)}-${randomUUID().slice(0, 8)}`
    if (!/^[^\s.*>]{1,128}$/.test(this.id)) throw new Error(`A worker's id has no dots, blanks, * or >: ${this.id}`)
    const { signer } = options
    this.#signer = typeof signer === 'string' ? createPrivateKey(signer) : signer
  }

  /** Jobs that it works on now. */
  get active(): number {
    return this.#running.size
  }

  /** Says who does the jobs of a topic; `*` stands for one part, `>` for all further ones. Before `start`. */
  handle(topic: string, handler: JobHandler): this {
    if (this.#state !== 'new') throw new Error('Topics are named before the worker starts')
    if (!topic.startsWith('job.')) throw new Error(`A topic begins with "job.": ${topic}`)
    this.#handlers.set(topic, handler)
    return this
  }

  /** Connects, listens and says that it is there. Throws when bus or credential refuse. */
  async start(): Promise<void> {
    if (this.#state !== 'new') throw new Error('A worker starts once')
    const { credentials, redisUrl = variable('CORDUM_REDIS_URL') } = this.#options
    const url = this.#options.url ?? variable('WHEELHOUSE_URL', 'CORDUM_GATEWAY_URL')
    const natsUrl =
      this.#options.natsUrl ?? variable('CORDUM_NATS_URL') ?? (url === undefined ? variable('NATS_URL') : undefined)
    const given = credentials ?? variable('WHEELHOUSE_API_KEY', 'CORDUM_API_KEY')
    const token = typeof given === 'string' ? given : undefined
    const traded = typeof given === 'string' ? undefined : given
    this.#store = await openStore({ url, token, redisUrl })
    this.#connection = await openBus({ id: this.id, url, token, natsUrl, credentials: traded })
    this.#state = 'started'
    const topics = new Set([...this.#handlers.keys(), ...(this.#options.subjects ?? [])])
    for (const topic of topics) this.#listen(topic, topic)
    this.#listen(`worker.${this.id}.jobs`)
    this.#listen('sys.job.cancel')
    await this.#connection.flush()
    this.#beat()
    this.#beating = setInterval(() => this.#beat(), HEARTBEAT_MS)
    void this.#watch(this.#connection)
    await this.#connection.flush()
  }

  /**
   * Takes no more jobs, lets those that run end, tells their results and leaves. After `timeoutMs` (default 30 s) what still runs is
   * aborted and left to another worker.
   */
  stop({ timeoutMs = 30_000 }: { timeoutMs?: number } = {}): Promise<void> {
    this.#stopped ??= this.#leave(timeoutMs)
    return this.#stopped
  }

  async #leave(timeoutMs: number): Promise<void> {
    const connection = this.#connection
    if (this.#state !== 'started' || !connection) {
      this.#state = 'stopped'
      return
    }
    this.#state = 'stopping'
    // Overloaded workers get no jobs; what is on its way already is still taken.
    this.#beat()
    await connection.flush().catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, LAST_JOBS_MS))
    const drained = new Promise<void>((resolve) => this.#idle.push(resolve))
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs)))
    if (this.active + this.#waiting.length > 0) await Promise.race([drained, late])
    clearTimeout(timer)
    this.#state = 'stopped'
    this.#waiting = []
    for (const job of this.#running.values()) this.#abort(job, 'stopped')
    clearInterval(this.#beating)
    for (const subscription of this.#subscriptions) subscription.unsubscribe()
    if (!connection.isClosed()) await connection.drain().catch(() => connection.close())
    await this.#store?.close()
  }

  #listen(subject: string, queue?: string): void {
    const subscription = this.#connection?.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        if (error) this.#failed(error)
        else {
          // The platform asks once in a while whether somebody listens here.
          if (message.reply) message.respond()
          this.#receive(message.data)
        }
      },
    })
    if (subscription) this.#subscriptions.push(subscription)
  }

  #receive(bytes: Uint8Array): void {
    const packet = readPacket(bytes)
    if (!packet) return
    const { payload, traceId } = packet
    if (payload.case === 'jobCancel') this.#cancel(payload.value.jobId)
    else if (payload.case === 'jobRequest') this.#take(payload.value, traceId)
  }

  #take(request: JobRequest, traceId: string): void {
    const claim = `${request.jobId} ${request.attempt}`
    if (this.#taken.has(claim)) {
      const told = this.#taken.get(claim)
      if (told) void this.#deliver(told)
      return
    }
    this.#remember(claim, undefined)
    // The platform has given the job away anew, to us: the older claim does not count any more.
    const older = this.#running.get(request.jobId)
    if (older) this.#abort(older, 'stopped')
    this.#waiting.push({ request, traceId })
    this.#next()
  }

  #next(): void {
    while (this.active < (this.#options.maxParallel ?? 4)) {
      const next = this.#waiting.shift()
      if (!next) break
      void this.#work(next.request, next.traceId)
    }
    if (this.active + this.#waiting.length === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }

  #cancel(jobId: string): void {
    this.#waiting = this.#waiting.filter(({ request }) => request.jobId !== jobId)
    const job = this.#running.get(jobId)
    if (job) this.#abort(job, 'cancelled')
  }

  #abort(job: Running, ending: Ending): void {
    job.ended ??= ending
    job.stop.abort(new Error(`the job was ${ending}`))
  }

  async #work(request: JobRequest, traceId: string): Promise<void> {
    const { jobId, attempt } = request
    const job: Running = { request, traceId, stop: new AbortController(), ended: undefined }
    this.#running.set(jobId, job)
    const begun = performance.now()
    const artifactPtrs: string[] = []
    const deadlineMs = Number(request.budget?.deadlineMs ?? 0)
    const timer = deadlineMs > 0 ? setTimeout(() => this.#abort(job, 'timeout'), deadlineMs) : undefined
    try {
      const outcome = await this.#perform(job, artifactPtrs)
      // Nobody waits for what was begun under a claim that is another's now, or that we leave behind.
      if (job.ended === 'stopped') return
      const value = create(JobResultSchema, {
        jobId,
        attempt,
        workerId: this.id,
        executionMs: BigInt(Math.round(performance.now() - begun)),
        artifactPtrs,
        ...outcome,
      })
      const bytes = packetBytes(this.id, traceId, { case: 'jobResult', value }, this.#signer)
      this.#remember(`${jobId} ${attempt}`, bytes)
      await this.#deliver(bytes)
    } catch (error) {
      this.#failed(error)
    } finally {
      clearTimeout(timer)
      if (this.#running.get(jobId) === job) this.#running.delete(jobId)
      this.#next()
    }
  }

  async #perform(job: Running, artifactPtrs: string[]): Promise<Outcome> {
    const { request } = job
    try {
      const handler = [...this.#handlers].find(([topic]) => covers(topic, request.topic))?.[1]
      if (!handler) throw Object.assign(new Error(`nobody handles ${request.topic} here`), { code: 'no_handler' })
      const output = await handler(await this.#contextOf(job, artifactPtrs))
      if (job.ended) return ENDINGS[job.ended]
      if (output === undefined || output === null) return { status: JobStatus.SUCCEEDED, resultPtr: '' }
      const resultPtr = await this.#open().keep(request.jobId, output)
      return { status: JobStatus.SUCCEEDED, resultPtr }
    } catch (error) {
      if (job.ended) return ENDINGS[job.ended]
      const { message } = error instanceof Error ? error : new Error(String(error))
      const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'worker_error'
      return { status: JobStatus.FAILED, errorCode: code, errorMessage: message }
    }
  }

  async #contextOf(job: Running, artifactPtrs: string[]): Promise<JobContext> {
    const { request, traceId, stop } = job
    const store = this.#open()
    const { maxArtifactBytes, ...limits } = limitsOf(request)
    const traceparent = request.env['traceparent'] ?? ''
    return {
      jobId: request.jobId,
      topic: request.topic,
      traceId,
      attempt: request.attempt,
      input: request.contextPtr === '' ? null : await store.read(request.contextPtr),
      tenantId: request.tenantId,
      principalId: request.principalId,
      parentJobId: request.parentJobId,
      workflowId: request.workflowId,
      memoryId: request.memoryId,
      env: request.env,
      labels: request.labels,
      capability: request.meta?.capability ?? '',
      riskTags: request.meta?.riskTags ?? [],
      traceparent,
      ...limits,
      signal: stop.signal,
      progress: (percent, message = '') => {
        const value = create(JobProgressSchema, {
          jobId: request.jobId,
          attempt: request.attempt,
          percent: Math.max(0, Math.min(100, Math.round(percent))),
          message,
          status: JobStatus.RUNNING,
        })
        this.#publish('sys.job.progress', packetBytes(this.id, traceId, { case: 'jobProgress', value }, this.#signer))
      },
      artifact: async (content, options = {}) => {
        const pointer = await store.upload(content, options, maxArtifactBytes)
        artifactPtrs.push(pointer)
        return pointer
      },
      read: (pointer) => store.read(pointer),
      submit: (topic, input, more = {}) =>
        store.submit({ prompt: topic, ...more, topic, context: input, parent_job_id: request.jobId }, traceparent),
    }
  }

  /** A publish may be lost with the bus: the platform is asked to confirm, again and again until it does. */
  async #deliver(result: Uint8Array): Promise<void> {
    for (let tries = 1; this.#connection && !this.#connection.isClosed(); tries++) {
      try {
        await this.#connection.request('sys.job.result', result, { timeout: RESULT_TIMEOUT_MS })
        return
      } catch (error) {
        if (this.#state === 'stopped') return
        if (tries % 10 === 0) this.#failed(error)
        await new Promise((resolve) => setTimeout(resolve, Math.min(2000, 100 * tries)))
      }
    }
  }

  #beat(): void {
    const { pool = 'default', maxParallel = 4, labels = {}, region = '', type = 'wheelhouse-sdk' } = this.#options
    const load = this.#state === 'stopping' ? { cpuLoad: 100 } : (this.#options.load?.() ?? {})
    const value = create(HeartbeatSchema, {
      workerId: this.id,
      pool,
      region,
      type,
      maxParallelJobs: maxParallel,
      activeJobs: this.active + this.#waiting.length,
      capabilities: [...new Set([...(this.#options.capabilities ?? []), ...this.#handlers.keys()])],
      labels: { ...labels },
      cpuLoad: load.cpuLoad ?? 0,
      gpuUtilization: load.gpuUtilization ?? 0,
    })
    this.#publish('sys.heartbeat', packetBytes(this.id, '', { case: 'heartbeat', value }, this.#signer))
  }

  #publish(subject: string, bytes: Uint8Array): void {
    try {
      this.#connection?.publish(subject, bytes)
    } catch (error) {
      // A closed connection: only `stop` closes it for good.
      if (this.#state !== 'stopped') this.#failed(error)
    }
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'reconnect') this.#beat()
      else if (status.type === 'error') this.#failed(status.error)
    }
  }

  #remember(claim: string, result: Uint8Array | undefined): void {
    this.#taken.delete(claim)
    this.#taken.set(claim, result)
    if (this.#taken.size <= REMEMBERED) return
    const [oldest] = this.#taken.keys()
    if (oldest !== undefined) this.#taken.delete(oldest)
  }

  #open(): WorkerStore {
    if (!this.#store) throw new Error('The worker has not started')
    return this.#store
  }

  #failed(error: unknown): void {
    if (this.#options.onError) this.#options.onError(error)
    else process.stderr.write(`worker ${this.id}: ${error instanceof Error ? error.message : String(error)}\n`)
  }
}

const ENDINGS: Readonly<Record<Ending, Outcome>> = {
  cancelled: { status: JobStatus.CANCELLED, errorCode: 'cancelled', errorMessage: 'the job was cancelled' },
  timeout: { status: JobStatus.TIMEOUT, errorCode: 'timeout', errorMessage: 'it did not end in its time' },
  stopped: { status: JobStatus.CANCELLED, errorCode: 'worker_stopped', errorMessage: 'the worker stopped' },
}
