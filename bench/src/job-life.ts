import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { WebSocket } from 'ws'
import type { Bare } from './bare.ts'
import { natsCredentials } from './credentials.ts'
import { asEngine, type Ground } from './ground.ts'
import { many, oneByOne, perThing, type Used, used, usedText } from './load.ts'
import { type Figure, median, ms, perSecond, quantile } from './report.ts'

export const TOPIC = 'job.bench.life'
const JOBS = 10_000
const CALLERS = 500
const JOBS_64 = 3_000
const LONE = 300
/** As many as it takes until a lone job takes no less time than the one before it. */
const WARM = 1_000
const LIFE_WITHIN_MS = 60_000
const LOOK_MS = 20

/** Tells callers that their job has ended, whichever comes first: the news or the question. */
export class Ends {
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

export async function post(url: string, body: unknown, apiKey?: string): Promise<string> {
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

/** A worker process; with `slots` it announces its topic and takes so many at a time, else whatever the topic brings. */
export async function startWorker(
  ground: Ground,
  { id = 'bench-worker', topic = TOPIC, slots }: { id?: string; topic?: string; slots?: number } = {},
): Promise<ChildProcess> {
  const { jwt, seed } = await natsCredentials(ground, id, {
    pub: ['sys.job.result', 'sys.heartbeat', 'sys.job.progress'],
    sub: [topic, `worker.${id}.jobs`, 'sys.job.cancel'],
  })
  const worker = fork(fileURLToPath(new URL('./cap-worker.ts', import.meta.url)), {
    env: {
      ...process.env,
      CAP_NATS_URL: ground.natsUrl,
      CAP_NATS_JWT: jwt,
      CAP_NATS_SEED: seed,
      CAP_TOPIC: topic,
      CAP_WORKER_ID: id,
      ...(slots === undefined ? {} : { CAP_SLOTS: String(slots) }),
    },
  })
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve())
    worker.once('exit', (code) => reject(new Error(`The worker ended with ${code}`)))
  })
  return worker
}

export interface Frame {
  jobResult?: { jobId: string }
}

/** A socket on the documented stream of the jobs surface, open when this resolves. */
export function openStream(ground: Ground, heard: (frame: Frame) => void): Promise<WebSocket> {
  const socket = new WebSocket(`${ground.url.replace('http', 'ws')}/api/v1/stream`, {
    headers: { 'x-api-key': ground.apiKey },
  })
  socket.on('message', (data) => heard(JSON.parse(String(data)) as Frame))
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Each frame about a result ends a wait. */
export const follow = (ground: Ground, ends: Ends): Promise<WebSocket> =>
  openStream(ground, ({ jobResult }) => {
    if (jobResult) ends.tell(jobResult.jobId)
  })

/** Seconds until the database holds `count` ended jobs more than before; callers need no news of each. */
export async function throughput(
  ground: Ground,
  ended: string,
  count: number,
  submit: (n: number) => Promise<unknown>,
  callers = CALLERS,
): Promise<number> {
  return asEngine(ground, async (client) => {
    const known = async (): Promise<number> => Number((await client.query<{ n: string }>(ended)).rows[0]?.n ?? 0)
    const before = await known()
    const started = performance.now()
    await many(callers, count, submit)
    while ((await known()) - before < count) {
      if (performance.now() - started > LIFE_WITHIN_MS)
        throw new Error(`${count} jobs did not end within ${LIFE_WITHIN_MS} ms`)
      await pause(LOOK_MS)
    }
    return count / ((performance.now() - started) / 1000)
  })
}

/** Of the jobs of the benchmark's topic, how many ended well. */
export const ENDED = `select count(*) as n from jobs where topic = '${TOPIC}' and state = 'succeeded'`

export const submitLife =
  (ground: Ground, url = ground.url) =>
  (n: number): Promise<string> =>
    post(`${url}/api/v1/jobs`, { prompt: `work ${n}`, topic: TOPIC }, ground.apiKey)

interface Loop {
  rate: number
  rate64: number
  lone: number[]
}

async function bareLoop(ground: Ground, bare: Bare): Promise<Loop> {
  const ends = new Ends()
  const nats: NatsConnection = await connect({
    servers: ground.natsUrl,
    authenticator: jwtAuthenticator(bare.credentials.jwt, new TextEncoder().encode(bare.credentials.seed)),
  })
  nats.subscribe('bench.done', { callback: (_error, message) => ends.tell(message.string()) })
  await nats.flush()
  const submit = (n: number): Promise<string> => post(`${bare.url}/loop`, { prompt: `work ${n}` })
  await oneByOne(WARM, async () => ends.wait(await submit(0)))
  const lone = await oneByOne(LONE, async () => ends.wait(await submit(0)))
  await nats.close()
  await ground.pool.query('grant select on bare_jobs to wh_engine')
  const ended = "select count(*) as n from bare_jobs where state = 'done'"
  const rate64 = await throughput(ground, ended, JOBS_64, submit, 64)
  return { rate: await throughput(ground, ended, JOBS, submit), rate64, lone }
}

async function ourLoop(ground: Ground): Promise<Loop & { cpu: Used }> {
  const worker = await startWorker(ground)
  const ends = new Ends()
  const socket = await follow(ground, ends)
  const submit = submitLife(ground)
  await oneByOne(WARM, async () => ends.wait(await submit(0)))
  const lone = await oneByOne(LONE, async () => ends.wait(await submit(0)))
  // The stream closes on a client that falls behind (jobs.md §4): throughput is read from the record instead.
  socket.close()
  const rate64 = await throughput(ground, ENDED, JOBS_64, submit, 64)
  const before = await used(ground)
  const rate = await throughput(ground, ENDED, JOBS, submit)
  const cpu = perThing(before, await used(ground), JOBS)
  worker.disconnect()
  return { rate, rate64, lone, cpu }
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
      bar: { atLeast: 0.5 },
      note: `CPU of one job's whole life: ${usedText(ours.cpu)}.`,
    },
    {
      section,
      name: 'the same, 64 callers',
      ours: perSecond(ours.rate64),
      beside: `${perSecond(theirs.rate64)}: bare loop`,
      ratio: ours.rate64 / theirs.rate64,
    },
    {
      section,
      name: 'one lone job, p50',
      ours: ms(median(ours.lone)),
      beside: `${ms(median(theirs.lone))}: bare loop`,
      ratio: median(ours.lone) / median(theirs.lone),
      bar: { atMost: 1.4 },
    },
    {
      section,
      name: 'one lone job, p99',
      ours: ms(quantile(ours.lone, 0.99)),
      beside: `${ms(quantile(theirs.lone, 0.99))}: bare loop`,
      ratio: quantile(ours.lone, 0.99) / quantile(theirs.lone, 0.99),
      bar: { atMost: 2 },
    },
  ]
}
