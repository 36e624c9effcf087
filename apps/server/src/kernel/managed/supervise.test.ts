import { spawn, type ChildProcess } from 'node:child_process'
import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import { pause } from '../clock/index.ts'
import { supervise, type Supervised } from './supervise.ts'

const log = pino({ level: 'silent' })
let supervised: Supervised | undefined
afterEach(() => supervised?.stop())

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
  await expect(supervise({ name: 'x', start, stopSignal: 'SIGTERM', stopWithinMs: 1000, log })).rejects.toThrow(
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
  supervised = await supervise({ name: 'x', start, stopSignal: 'SIGTERM', stopWithinMs: 1000, log })
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
  supervised = await supervise({ name: 'x', start, stopSignal: 'SIGTERM', stopWithinMs: 200, log })
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
  supervised = await supervise({ name: 'x', start, stopSignal: 'SIGTERM', stopWithinMs: 1000, log })
  process.kill(supervised.status().pid ?? 0, 'SIGKILL')
  await until(() => starts > 3)
  await supervised.stop()
  const after = starts
  await pause(50)
  expect(starts).toBe(after)
  expect(supervised.status().state).toBe('stopped')
})
