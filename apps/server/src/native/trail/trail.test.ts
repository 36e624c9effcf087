import type { EventType } from '@wheelhouse/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import pg from 'pg'
import type { DomainEvent } from '../../kernel/events/index.ts'
import { publish } from '../../kernel/events/index.ts'
import { actorOf } from '../../kernel/identity/index.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { streamEvents } from './stream.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const BASE = '/wheelhouse/api/v1'

async function emit(type: EventType, count: number, tenant = world.a): Promise<void> {
  const { kernel } = world
  const actor = actorOf(await world.principal(tenant.keys.admin))
  await kernel.db.tenant(tenant.id, async (tx) => {
    for (let n = 0; n < count; n++)
      await publish(tx, {
        type,
        resource: { kind: 'thing', id: String(n) },
        actor,
        data: { n },
        at: kernel.clock.now(),
      })
  })
  await kernel.events.settled(tenant.id)
}

interface Frame {
  id: number
  type: string
  data: { seq: number; data: { n: number } }
}

/** Reads a stream until `count` events have come. */
async function read(
  path: string,
  count: number,
  headers: Record<string, string> = {},
  opened?: () => Promise<void>,
): Promise<Frame[]> {
  const control = new AbortController()
  const reply = await fetch(`${world.url}${BASE}${path}`, {
    headers: { authorization: `Bearer ${world.a.keys.viewer}`, ...headers },
    signal: control.signal,
  })
  expect(reply.status).toBe(200)
  expect(reply.headers.get('content-type')).toMatch(/^text\/event-stream/)
  const frames: Frame[] = []
  let text = ''
  let begun = false
  for await (const chunk of reply.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString()
    if (!begun) {
      begun = true
      void opened?.()
    }
    const parts = text.split('\n\n')
    text = parts.pop() ?? ''
    for (const part of parts) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(part)?.[1]
      const data = field('data')
      if (data !== undefined)
        frames.push({ id: Number(field('id')), type: field('event') ?? '', data: JSON.parse(data) })
    }
    if (frames.length >= count) break
  }
  control.abort()
  return frames
}

test('events are read from a position, by beginnings of types, page by page', async () => {
  await emit('target.registered', 5)
  await emit('agent.updated', 2)
  const all = await world.call('GET', `${BASE}/events`, { as: world.a.keys.viewer })
  expect(all.body.items.map(({ seq }: { seq: number }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7])
  expect(all.body.items[0]).toMatchObject({
    type: 'target.registered',
    resource: { kind: 'thing', id: '0' },
    data: { n: 0 },
    actor: { kind: 'key' },
  })
  const page = await world.call('GET', `${BASE}/events?after=1&limit=2`)
  expect(page.body).toMatchObject({ items: [{ seq: 2 }, { seq: 3 }], next: 3 })
  const beta = await world.call('GET', `${BASE}/events?type=agent.,gamma.`)
  expect(beta.body).toMatchObject({ items: [{ type: 'agent.updated' }, { type: 'agent.updated' }], next: null })
  expect((await world.call('GET', `${BASE}/events`, { as: world.b.keys.viewer })).body.items).toEqual([])
  expect(await world.call('GET', `${BASE}/events?after=-1`)).toMatchObject({ status: 400 })
})

test('a stream goes on after the last event that the reader saw, without gap or repeat, and stays live', async () => {
  const frames = await read('/events/stream?type=target.', 6, { 'last-event-id': '2' }, () =>
    emit('target.registered', 3),
  )
  expect(frames.map(({ id }) => id)).toEqual([3, 4, 5, 8, 9, 10])
  expect(frames[0]).toMatchObject({ type: 'target.registered', data: { seq: 3, data: { n: 2 } } })
  const fromNow = await read('/events/stream', 2, {}, () => emit('environment.created', 2))
  expect(fromNow.map(({ type }) => type)).toEqual(['environment.created', 'environment.created'])
})

test('live events that are lost, doubled or out of order leave no trace', async () => {
  const all = Array.from({ length: 1200 }, (_, i) => ({ seq: i + 1 }) as DomainEvent)
  let stored = 3
  let tell: (event: DomainEvent) => void = () => undefined
  const control = new AbortController()
  const seen: number[] = []
  const done = streamEvents({
    tenantId: 't',
    after: 0,
    signal: control.signal,
    events: {
      follow: (_tenant, listener) => {
        tell = listener
        return () => undefined
      },
      replay: async (_tenant, after, limit) => all.slice(after, Math.min(stored, after + limit)),
    },
    async send({ seq }) {
      seen.push(seq)
    },
  })
  const live = (...seqs: number[]): void => {
    for (const seq of seqs) {
      stored = Math.max(stored, seq)
      tell(all[seq - 1] as DomainEvent)
    }
  }
  live(2, 3, 4, 4, 7, 6, 5, 8)
  await expect.poll(() => seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  // More at once than the stream keeps: it reads on from the database.
  live(...Array.from({ length: 1192 }, (_, i) => i + 9))
  await expect.poll(() => seen.length).toBe(1200)
  expect(seen).toEqual(all.map(({ seq }) => seq))
  control.abort()
  await done
})

test('the trail is proved whole, row by row, and a change is found', async () => {
  await world.call('POST', '/api/v1/keys', { body: { name: 'audited' } })
  const whole = await world.call('POST', `${BASE}/audit/verify`, { body: {}, as: world.a.keys.security })
  expect(whole).toMatchObject({ status: 200, body: { chain: 'audit', intact: true } })
  expect(whole.body.rows).toBeGreaterThan(0)
  expect((await world.call('POST', `${BASE}/audit/verify`, { body: { chain: 'event' } })).body).toMatchObject({
    chain: 'event',
    intact: true,
  })
  const owner = new pg.Client({ connectionString: world.databaseUrl })
  await owner.connect()
  const { rows } = await owner.query<{ id: string; seq: string }>(
    'select id, seq from audit where tenant_id = $1 order by seq',
    [world.a.id],
  )
  const [first] = rows
  expect(await world.call('POST', `${BASE}/audit/${first?.id}/verify`)).toMatchObject({
    status: 200,
    body: { valid: true, seq: 1, hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
  })
  expect(await world.call('POST', `${BASE}/audit/${first?.id}/verify`, { as: world.b.keys.admin })).toMatchObject({
    status: 404,
  })
  await owner.query(`update audit set body = body || '{"verb":"other"}' where tenant_id = $1 and seq = 1`, [world.a.id])
  await owner.end()
  expect((await world.call('POST', `${BASE}/audit/verify`, { body: {} })).body).toMatchObject({
    intact: false,
    broken: { seq: 1, reason: 'hash' },
  })
  expect((await world.call('POST', `${BASE}/audit/${first?.id}/verify`)).body).toMatchObject({
    valid: false,
    reason: expect.stringContaining('row 1'),
  })
})

test('only those who may read the trail prove it', async () => {
  expect(await world.call('POST', `${BASE}/audit/verify`, { body: {}, as: world.a.keys.viewer })).toMatchObject({
    status: 403,
  })
})
