import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'
import { sql } from '../db/index.ts'
import { type DomainEvent, publish } from '../events/index.ts'
import { actorOf } from '../identity/index.ts'
import { record } from './index.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const START = 1_700_000_000_000

async function append(tenantId: string, key: string, count: number): Promise<void> {
  const actor = actorOf(await world.principal(key))
  for (let i = 0; i < count; i += 1) {
    await world.kernel.db.tenant(tenantId, async (tx) => {
      const resource = { kind: 'thing', id: String(i) }
      await record(tx, {
        at: START + i,
        actor,
        verb: 'thing.make',
        resourceKind: 'thing',
        resourceId: resource.id,
        outcome: 'ok',
        after: { password: 'p', n: i },
      })
      await publish(tx, { type: 'target.registered', resource, actor, data: { n: i }, at: START + i })
    })
  }
}

test('numbers each tenant’s rows without a gap, chains them, masks secrets and finds a change', async () => {
  const seen: DomainEvent[] = []
  const stop = world.kernel.events.follow(world.a.id, (event) => seen.push(event))
  await Promise.all([append(world.a.id, world.a.keys.admin, 20), append(world.b.id, world.b.keys.admin, 5)])
  await expect(world.kernel.trail.verify(world.a.id, 'audit')).resolves.toMatchObject({ rows: 20, intact: true })
  await expect(world.kernel.trail.verify(world.b.id, 'event')).resolves.toMatchObject({ rows: 5, intact: true })
  await expect.poll(() => seen.map((event) => event.seq)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  stop()
  const replayed = await world.kernel.events.replay(world.a.id, 15, 100)
  expect(replayed.map((event) => [event.seq, event.data['n']])).toEqual(
    [16, 17, 18, 19, 20].map((seq) => [seq, seq - 1]),
  )

  const owner = new pg.Client({ connectionString: world.databaseUrl })
  await owner.connect()
  const { rows } = await owner.query<{ body: { after: unknown } }>(
    'select body from audit where tenant_id = $1 and seq = 3',
    [world.a.id],
  )
  expect(rows[0]?.body.after).toMatchObject({ password: '***' })
  await owner.query(
    `update audit set body = jsonb_set(body, '{verb}', '"thing.other"') where tenant_id = $1 and seq = 7`,
    [world.a.id],
  )
  await owner.end()
  await expect(world.kernel.trail.verify(world.a.id, 'audit')).resolves.toMatchObject({
    intact: false,
    broken: { seq: 7, reason: 'hash' },
  })
})

test('neither the engine nor a tenant may change or remove what is sealed', async () => {
  await expect(world.kernel.db.engine((tx) => tx.run(sql`delete from audit`))).rejects.toMatchObject({ code: '42501' })
  await expect(
    world.kernel.db.tenant(world.a.id, (tx) => tx.run(sql`update events set type = 'x'`)),
  ).rejects.toMatchObject({ code: '42501' })
})
