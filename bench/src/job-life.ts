import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { WebSocket } from 'ws'
import type { Bare } from './bare.ts'
import { natsCredentials } from './credentials.ts'
import type { Ground } from './ground.ts'
import { many, oneByOne } from './load.ts'
import { type Figure, median, ms, perSecond, quantile } from './report.ts'

const TOPIC = 'job.bench.life'
const JOBS = 10_000
const CALLERS = 500
const LONE = 300

/** Tells callers that their job has ended, whichever comes first: the news or the question. */
class Ends {
  readonly #done = new Set<string>()
  readonly #waiting = new Map<string, () => void>()

  tell(id: string): void {
    const waiting = this.#waiting.get(id)
    if (!waiting) this.#done.add(id)
    this.#waiting.delete(id)
    waiting?.()
  }

  wait(id: string): Promise<void> {
    if (this.#done.delete(id)) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.set(id, resolve))
  }
}

async function post(url: string, body: unknown, apiKey?: string): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
    },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
  return ((await response.json()) as { job_id: string }).job_id
}

async function startWorker(ground: Ground): Promise<ChildProcess> {
  const { jwt, seed } = await natsCredentials(ground, 'bench worker', {
    pub: ['sys.job.result', 'sys.heartbeat', 'sys.job.progress'],
    sub: [TOPIC, 'worker.bench-worker.jobs', 'sys.job.cancel'],
  })
  const worker = fork(fileURLToPath(new URL('./cap-worker.ts', import.meta.url)), {
    env: { ...process.env, CAP_NATS_URL: ground.natsUrl, CAP_NATS_JWT: jwt, CAP_NATS_SEED: seed, CAP_TOPIC: TOPIC },
  })
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve())
    worker.once('exit', (code) => reject(new Error(`The worker ended with ${code}`)))
  })
  return worker
}

/** The documented stream of the jobs surface: each frame about a result ends a wait. */
async function follow(ground: Ground, ends: Ends): Promise<WebSocket> {
  const socket = new WebSocket(`${ground.url.replace('http', 'ws')}/api/v1/stream`, {
    headers: { 'x-api-key': ground.apiKey },
  })
  socket.on('message', (data) => {
    const frame = JSON.parse(String(data)) as { jobResult?: { jobId: string } }
    if (frame.jobResult) ends.tell(frame.jobResult.jobId)
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve())
    socket.once('error', reject)
  })
  return socket
}

async function bareLoop(ground: Ground, bare: Bare): Promise<{ rate: number; lone: number[] }> {
  const ends = new Ends()
  const nats: NatsConnection = await connect({
    servers: ground.natsUrl,
    authenticator: jwtAuthenticator(bare.credentials.jwt, new TextEncoder().encode(bare.credentials.seed)),
  })
  nats.subscribe('bench.done', { callback: (_error, message) => ends.tell(message.string()) })
  await nats.flush()
  const life = async (n: number): Promise<void> => ends.wait(await post(`${bare.url}/loop`, { prompt: `work ${n}` }))
  await many(64, 1000, life)
  const rate = await many(CALLERS, JOBS, life)
  const lone = await oneByOne(LONE, () => life(0))
  await nats.close()
  return { rate, lone }
}

async function ourLoop(ground: Ground): Promise<{ rate: number; lone: number[] }> {
  const worker = await startWorker(ground)
  const ends = new Ends()
  const socket = await follow(ground, ends)
  const life = async (n: number): Promise<void> =>
    ends.wait(await post(`${ground.url}/api/v1/jobs`, { prompt: `work ${n}`, topic: TOPIC }, ground.apiKey))
  await many(64, 1000, life)
  const rate = await many(CALLERS, JOBS, life)
  const lone = await oneByOne(LONE, () => life(0))
  socket.close()
  worker.disconnect()
  return { rate, lone }
}

/** Submit → policy → dispatch → worker → result, beside the same journey without any of ours in between. */
export async function jobLifeFigures(ground: Ground, bare: Bare): Promise<Figure[]> {
  const theirs = await bareLoop(ground, bare)
  const ours = await ourLoop(ground)
  const section = 'Job life'
  return [
    {
      section,
      name: `whole life over HTTP, ${CALLERS} callers`,
      ours: perSecond(ours.rate),
      beside: `${perSecond(theirs.rate)}: bare loop`,
      ratio: ours.rate / theirs.rate,
      bar: { atLeast: 0.4 },
    },
    {
      section,
      name: 'one lone job, p50',
      ours: ms(median(ours.lone)),
      beside: `${ms(median(theirs.lone))}: bare loop`,
      ratio: median(ours.lone) / median(theirs.lone),
      bar: { atMost: 1.6 },
    },
    {
      section,
      name: 'one lone job, p99',
      ours: ms(quantile(ours.lone, 0.99)),
      beside: `${ms(quantile(theirs.lone, 0.99))}: bare loop`,
      ratio: quantile(ours.lone, 0.99) / quantile(theirs.lone, 0.99),
    },
  ]
}
