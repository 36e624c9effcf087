import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import { type Supervised, supervise } from './supervise.ts'

const begun: { child: ChildProcess; at: number }[] = []
let supervised: Supervised | undefined
afterEach(async () => {
  await supervised?.stop()
  begun.length = 0
})

async function run(program: string): Promise<void> {
  supervised = await supervise({
    name: 'test',
    async start() {
      const child = spawn(process.execPath, ['-e', program], { stdio: 'ignore' })
      await once(child, 'spawn')
      begun.push({ child, at: performance.now() })
      return child
    },
    stopSignal: 'SIGKILL',
    stopWithinMs: 1_000,
    log: pino({ level: 'silent' }),
  })
}

test('a child that worked for a while is there again at once, however often it is killed', async () => {
  await run('setInterval(() => {}, 1000)')
  for (let kills = 1; kills <= 3; kills++) {
    await expect.poll(() => performance.now() - (begun.at(-1)?.at ?? Infinity)).toBeGreaterThan(1_100)
    const killed = performance.now()
    begun.at(-1)?.child.kill('SIGKILL')
    await expect.poll(() => begun.length, { interval: 10 }).toBe(kills + 1)
    expect((begun.at(-1)?.at ?? Infinity) - killed).toBeLessThan(700)
  }
})

test('a child that ends as soon as it has begun is begun again more and more seldom', async () => {
  await run('process.exit(1)')
  await expect.poll(() => begun.length).toBeGreaterThanOrEqual(6)
  const gaps = begun.slice(1).map(({ at }, i) => at - (begun[i]?.at ?? 0))
  // 50, 100, 200, 400, 800 ms and the life of the process.
  expect(gaps[4]).toBeGreaterThan((gaps[0] ?? Infinity) + 500)
})
