import { afterAll, beforeAll, expect, test } from 'vitest'
import { openReplica, openWorld, type World } from '../../testing/world.ts'
import type { Tx } from '../db/index.ts'
import type { Kernel } from '../kernel.ts'
import { publish } from './index.ts'

let world: World
let replica: Kernel
beforeAll(async () => {
  world = await openWorld()
  replica = await openReplica(world)
})
afterAll(async () => {
  await replica.close()
  await world.close()
})

/** What the others listen to is known once they have answered after having said it. */
async function settled(): Promise<void> {
  await replica.bus.ping()
  await world.kernel.bus.ping()
}

const registered = (tx: Tx, id: string): Promise<string> =>
  publish(tx, {
    type: 'target.registered',
    resource: { kind: 'target', id },
    actor: { kind: 'system', id: 'test', name: 'test', onBehalfOf: [] },
    data: {},
    at: world.kernel.clock.now(),
  })

test('every replica shows a packet once to its own sockets, the one that it comes from without the bus', async () => {
  const shown: Record<'here' | 'there', string[]> = { here: [], there: [] }
  const leave = [
    world.kernel.jobs.frames(world.a.id, ({ text }) => void shown.here.push(text())),
    replica.jobs.frames(world.a.id, ({ text }) => void shown.there.push(text())),
    replica.jobs.frames(world.b.id, ({ text }) => void shown.there.push(`foreign ${text()}`)),
  ]
  await settled()
  const ids: string[] = []
  for (const name of ['one', 'two']) {
    const { body } = await world.call('POST', '/api/v1/jobs', { body: { prompt: name, topic: 'job.live' } })
    ids.push((body as { job_id: string }).job_id)
  }
  await expect.poll(() => shown.there.length, { timeout: 10_000 }).toBe(2)
  await settled()
  expect(shown.here).toEqual(shown.there)
  expect(shown.here.map((text) => (JSON.parse(text) as { jobRequest: { jobId: string } }).jobRequest.jobId)).toEqual(
    ids,
  )
  for (const each of leave) each()
})

test('every replica hears each sealed event once and in order, whichever of them wrote and sealed it', async () => {
  const heard: Record<'here' | 'there', number[]> = { here: [], there: [] }
  const names: string[] = []
  const leave = [
    world.kernel.events.follow(world.a.id, ({ type, seq, resource }) => {
      if (type !== 'target.registered') return
      heard.here.push(seq)
      names.push(resource.id)
      throw new Error('one who fails keeps nobody from hearing')
    }),
    replica.events.follow(world.a.id, ({ type, seq }) => void (type === 'target.registered' && heard.there.push(seq))),
  ]
  await settled()
  const written = Array.from({ length: 20 }, (_, n) => `target-${n}`)
  for (const [n, id] of written.entries()) {
    const { db, events } = n % 2 === 0 ? world.kernel : replica
    await db.tenant(world.a.id, (tx) => registered(tx, id))
    events.wake()
  }
  await expect.poll(() => [heard.here.length, heard.there.length], { timeout: 10_000 }).toEqual([20, 20])
  expect(heard.here).toEqual(heard.there)
  expect(heard.here).toEqual(heard.here.toSorted((a, b) => a - b))
  expect(names).toEqual(written)
  for (const each of leave) each()
})

test('live news of a tenant reaches every replica once, and no other tenant', async () => {
  const heard: string[] = []
  const leave = [
    world.kernel.feed.subscribeLive(world.a.id, ['news'], ({ data }) => void heard.push(`here ${String(data)}`)),
    replica.feed.subscribeLive(world.a.id, ['news'], ({ data }) => void heard.push(`there ${String(data)}`)),
    replica.feed.subscribeLive(world.b.id, ['news'], ({ data }) => void heard.push(`foreign ${String(data)}`)),
  ]
  await settled()
  world.kernel.feed.publishLive(world.a.id, 'news', 'one')
  world.kernel.feed.publishLive(world.a.id, 'other', 'unheard')
  await expect.poll(() => heard, { timeout: 10_000 }).toEqual(['here one', 'there one'])
  await settled()
  expect(heard).toHaveLength(2)
  for (const each of leave) each()
})

test('an event that is committed long after later ones were sealed is sealed too', async () => {
  const { db, events } = world.kernel
  const heard: string[] = []
  const leave = events.follow(world.b.id, ({ resource }) => void heard.push(resource.id))
  await db.tenant(world.b.id, async (tx) => {
    await registered(tx, 'late')
    // More than a look goes back.
    await db.tenant(world.b.id, async (other) => {
      for (let n = 0; n < 1500; n += 1) await registered(other, 'early')
    })
    events.wake()
    await expect.poll(() => heard.filter((id) => id === 'early').length, { timeout: 20_000 }).toBe(1500)
    expect(heard).not.toContain('late')
  })
  await expect.poll(() => heard.filter((id) => id === 'late'), { timeout: 10_000 }).toEqual(['late'])
  leave()
})
