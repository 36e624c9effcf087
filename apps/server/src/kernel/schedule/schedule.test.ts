import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'
import { openSession } from '../identity/index.ts'
import { at, sql } from '../db/index.ts'
import { openSchedule, retentionTasks } from './index.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({ movableClock: true })
})
afterAll(() => world.close())

test('runs each time on one replica, keeps its time over a restart and survives a failure', async () => {
  const { db, clock, log } = world.kernel
  const runs: string[] = []
  const task = (replica: string) => ({
    name: 'count',
    every: 60_000,
    async run() {
      runs.push(replica)
      if (runs.length === 1) throw new Error('the first time fails')
    },
  })
  const one = openSchedule({ db, clock, log })
  const two = openSchedule({ db, clock, log })
  await one.add(task('one'))
  await two.add(task('two'))
  world.clock?.advance(61_000)
  await expect.poll(() => runs.length, { timeout: 5000 }).toBe(1)
  world.clock?.advance(61_000)
  await expect.poll(() => runs.length, { timeout: 5000 }).toBe(2)
  await one.close()
  await two.close()
  // Its time passed while nobody ran: it comes at once.
  world.clock?.advance(300_000)
  const three = openSchedule({ db, clock, log })
  await three.add(task('three'))
  await expect.poll(() => runs, { timeout: 5000 }).toHaveLength(3)
  expect(runs[2]).toBe('three')
  await three.close()
})

test('removes sessions that have ended and keeps the others', async () => {
  const { db, clock } = world.kernel
  const now = clock.now()
  await db.auth(async (tx) => {
    for (let i = 0; i < 3; i += 1) {
      await openSession(tx, now - 10_000, {
        tenantId: world.a.id,
        principalId: world.a.adminId,
        kind: 'session',
        lifeMs: 5_000,
      })
    }
    await openSession(tx, now, {
      tenantId: world.a.id,
      principalId: world.a.adminId,
      kind: 'session',
      lifeMs: 10_000_000,
    })
  })
  for (const task of retentionTasks(db, clock)) await task.run(new AbortController().signal)
  const left = await db.auth((tx) =>
    tx.many<{ expires_at: number }>(sql`select expires_at from sessions where created_at <= ${at(now)}`),
  )
  expect(left).toHaveLength(1)
})
