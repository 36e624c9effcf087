import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import { pause } from '../clock/index.ts'
import { type Supervised, supervise } from './supervise.ts'

const log = pino({ level: 'silent' })
const ending = new AbortController().signal
let supervised: Supervised | undefined
afterEach(() => supervised?.stop())

/** Keeps the program running; `waits`: before each start but the first, in ms, as the log has it. */
async function run(
  program: string,
  ...args: string[]
): Promise<{ waits: number[]; child(): ChildProcess | undefined }> {
  const waits: number[] = []
  let child: ChildProcess | undefined
  supervised = await supervise({
    name: 'test',
    async start() {
      child = spawn(program, args, { stdio: 'ignore' })
      await once(child, 'spawn')
      return child
    },
    stopSignal: 'SIGKILL',
    stopWithinMs: 1_000,
    ending,
    log: pino({ level: 'warn' }, { write: (line) => waits.push((JSON.parse(line) as { waitMs: number }).waitMs) }),
  })
  return { waits, child: () => child }
}

test('a child that worked for a while is there again at once, however often it is killed', async () => {
  const { waits, child } = await run('sleep', '600')
  for (let kills = 1; kills <= 3; kills++) {
    await pause(1_100)
    child()?.kill('SIGKILL')
    await until(() => supervised?.status().restarts === kills)
  }
  expect(waits).toEqual([50, 50, 50])
})

test('a child that ends as soon as it has begun is begun again more and more seldom', async () => {
  const { waits } = await run('false')
  await until(() => waits.length === 5)
  expect(waits).toEqual([50, 100, 200, 400, 800])
})

const sleeper = async (): Promise<ChildProcess> => spawn('sleep', ['600'])

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('not within 10 s')
    await pause(10)
  }
}

test('a first start that fails is the caller’s error', async () => {
  const start = async () => {
    throw new Error('no such thing')
  }
  await expect(supervise({ name: 'x', start, stopSignal: 'SIGTERM', stopWithinMs: 1000, ending, log })).rejects.toThrow(
    'no such thing',
  )
})

test('a child that dies, and whose next start fails twice, comes back', async () => {
  let starts = 0
  const start = async () => {
    starts++
    if (starts === 2 || starts === 3) throw new Error('not yet')
    return sleeper()
  }
  supervised = await supervise({ name: 'x', start, stopSignal: 'SIGTERM', stopWithinMs: 1000, ending, log })
  const { pid } = supervised.status()
  process.kill(pid ?? 0, 'SIGKILL')
  await until(() => supervised?.status().state === 'running' && supervised.status().restarts === 1)
  expect(starts).toBe(4)
  expect(supervised.status().pid).not.toBe(pid)
})

test('a child that ignores the stop signal is killed after its time', async () => {
  const start = async () => {
    const child = spawn('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    return child
  }
  supervised = await supervise({ name: 'x', start, stopSignal: 'SIGTERM', stopWithinMs: 200, ending, log })
  const { pid } = supervised.status()
  await supervised.stop()
  expect(() => process.kill(pid ?? 0, 0)).toThrow(/ESRCH/)
  expect(supervised.status()).toMatchObject({ state: 'stopped', pid: undefined, restarts: 0 })
})

test('a stop during the wait for the next start ends the wait', async () => {
  let starts = 0
  const start = async () => {
    if (++starts > 1) throw new Error('never again')
    return sleeper()
  }
  supervised = await supervise({ name: 'x', start, stopSignal: 'SIGTERM', stopWithinMs: 1000, ending, log })
  process.kill(supervised.status().pid ?? 0, 'SIGKILL')
  await until(() => starts > 3)
  await supervised.stop()
  const after = starts
  await pause(50)
  expect(starts).toBe(after)
  expect(supervised.status().state).toBe('stopped')
})

test.each([
  ['after', 0],
  ['a moment before', 10],
])('a child that ends %s the server does stays ended, without a warning', async (_, laterMs) => {
  const server = new AbortController()
  const said: string[] = []
  supervised = await supervise({
    name: 'x',
    start: sleeper,
    stopSignal: 'SIGTERM',
    stopWithinMs: 1000,
    ending: server.signal,
    log: pino({ level: 'warn' }, { write: (line) => said.push(line) }),
  })
  const ended = supervised.status().pid ?? 0
  if (laterMs === 0) server.abort()
  process.kill(ended, 'SIGINT')
  if (laterMs > 0) {
    await until(() => supervised?.status().state === 'restarting')
    await pause(laterMs)
    server.abort()
  }
  await until(() => supervised?.status().state === 'stopped')
  expect(supervised.status()).toMatchObject({ pid: undefined, restarts: 0 })
  expect(said).toEqual([])
})
