import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { capWorker, type CapWorker } from '../../testing/cap-worker.ts'
import { tracedVerb } from '../../testing/engine-process.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { sql } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'

let world: World
let alice: Principal
let worker: CapWorker
let child: ChildProcess | undefined
const folder = mkdtempSync(join(tmpdir(), 'wh-crash-'))
const log = join(folder, 'performed')
const verb = tracedVerb(log)

beforeAll(async () => {
  writeFileSync(log, '')
  // The world takes jobs and dispatches none: the engine runs in the process that is killed.
  world = await openWorld({ config: (config) => (config.roles = ['api']) })
  world.kernel.jobs.register(verb)
  alice = await world.principal(world.a.keys.admin)
  await world.kernel.bus.ensureResults()
  worker = await capWorker(world, world.a, { id: 'w', topics: ['job.crash'], work: () => ({}) })
})
afterEach(async () => {
  await end(child)
  // What an engine takes in as it starts must not be what the next test waits to be killed at.
  await world.kernel.bus.drainResults(async () => {})
})
afterAll(async () => {
  await worker.close()
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})

async function end(process: ChildProcess | undefined): Promise<void> {
  if (!process || process.exitCode !== null || process.signalCode !== null) return
  process.kill('SIGKILL')
  await once(process, 'exit')
}

async function startEngine(crashPoint?: string): Promise<ChildProcess> {
  const made = fork(fileURLToPath(new URL('../../testing/engine-process.ts', import.meta.url)), {
    env: { ...process.env, ...(crashPoint === undefined ? {} : { WHEELHOUSE_CRASH_POINT: crashPoint }) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  made.send({
    databaseUrl: world.databaseUrl,
    dataDir: world.kernel.config.dataDir,
    nats: { url: world.kernel.natsUrls.client, keys: world.kernel.bus.keys },
    log,
  })
  const [answer] = (await once(made, 'message')) as [unknown]
  expect(answer).toBe('ready')
  child = made
  return made
}

const wait = (jobId: string) => world.kernel.jobs.wait(world.a.id, jobId, 25_000)
const performed = (jobId: string): string[] =>
  readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(jobId))
const submitVerb = async (n: number): Promise<string> =>
  (await world.kernel.db.tenant(world.a.id, (tx) => world.kernel.jobs.submit(tx, alice, verb, { n }))).jobId
const submitJob = async (): Promise<string> =>
  (
    await world.kernel.jobs.submitBatched(alice, {
      request: { topic: 'job.crash', tenant: alice.tenantSlug, principalId: 'alice' },
      context: '{"prompt":"x"}',
    })
  ).jobId
const leftOvers = () =>
  world.kernel.db.tenant(world.a.id, (tx) => tx.many(sql`select id, state from job_queue where state <> 'held'`))

test.each([
  ['claim:after-commit', 0, 1],
  ['end:before-commit', 1, 2],
])('a verb whose process is killed at %s is taken over and settles once', async (point, before, after) => {
  const first = await startEngine(point)
  const died = once(first, 'exit')
  const jobId = await submitVerb(7)
  await died
  expect(performed(jobId)).toHaveLength(before)
  await startEngine()
  expect(await wait(jobId)).toEqual({ kind: 'succeeded', output: { n: 7 } })
  expect(performed(jobId)).toHaveLength(after)
  // Taken over, not tried again: the attempt and the key are the same, the claim is another.
  expect(new Set(performed(jobId).map((line) => line.split(' ')[1]))).toEqual(new Set(['1']))
  const settled = await world.kernel.db.tenant(world.a.id, (tx) =>
    tx.many(sql`select convert_from(body, 'UTF8') as kind from job_values where key = ${`mem:settled-${jobId}`}`),
  )
  expect(settled).toEqual([{ kind: 'succeeded' }])
  expect(await leftOvers()).toEqual([])
})

test.each(['dispatch:after-publish', 'end:before-commit'])(
  'a worker’s job whose engine is killed at %s ends once',
  async (point) => {
    const first = await startEngine(point)
    const died = once(first, 'exit')
    const jobId = await submitJob()
    await died
    await startEngine()
    expect(await wait(jobId)).toMatchObject({ kind: 'succeeded' })
    expect(await leftOvers()).toEqual([])
    const ends = await world.kernel.db.engine((tx) =>
      tx.many(sql`
        select body ->> 'type' as type from outbox where body -> 'resource' ->> 'id' = ${jobId} and body ->> 'type' = 'job.succeeded'
        union all select type from events where resource_id = ${jobId} and type = 'job.succeeded'`),
    )
    expect(ends).toHaveLength(1)
  },
)

test('results that came while no engine ran are taken in when one starts', async () => {
  const first = await startEngine()
  const held = await capWorker(world, world.a, { id: 'held', topics: ['job.away'] })
  const { jobId } = await world.kernel.jobs.submitBatched(alice, {
    request: { topic: 'job.away', tenant: alice.tenantSlug, principalId: 'alice' },
    context: '{"prompt":"x"}',
  })
  await expect.poll(() => held.taken.length, { timeout: 10_000 }).toBe(1)
  await end(first)
  const attempt = held.taken[0]?.request.attempt ?? 0
  held.send('sys.job.result', { case: 'jobResult', value: { jobId, status: 5, workerId: 'held', attempt } })
  await held.connection.flush()
  await startEngine()
  expect(await wait(jobId)).toMatchObject({ kind: 'succeeded' })
  expect(held.taken).toHaveLength(1)
  await held.close()
})
