import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sql } from '../../kernel/db/index.ts'
import { actorOf, systemPrincipal } from '../../kernel/identity/index.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { announceFreezes } from './announce.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

let world: World
let orders = 0
beforeAll(async () => {
  world = await openWorld({ movableClock: true })
})
afterAll(() => world.close())

const now = (): number => world.kernel.clock.now()
const iso = (at: number): string => new Date(at).toISOString()

async function makeEnvironment(): Promise<{ id: string; path: string }> {
  orders += 1
  const { body } = await world.call('POST', '/api/v1/environments', {
    body: { name: `env-${orders}`, displayName: 'x', orderIndex: orders },
  })
  return { id: body.data.id, path: `/api/v1/environments/${body.data.id}/freeze-windows` }
}

const freeze = (path: string, start: number, end: number, rest: object = {}) =>
  world.call('POST', path, { body: { start: iso(start), end: iso(end), reason: 'year end', ...rest } })

/** What was published of an environment's windows, in order. */
async function told(environmentId: string): Promise<string[]> {
  const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
    tx.many<{ type: string; at: number }>(sql`
      select type, at from (
        select body ->> 'type' as type, at, body -> 'resource' ->> 'id' as id from outbox where kind = 'event'
        union all select type, at, resource_id from events) as every
       where id = ${environmentId} and type like 'environment.freeze%' order by at, type desc`),
  )
  return rows.map(({ type }) => type.replace('environment.freeze_', ''))
}

const announce = () => {
  const actor = actorOf(systemPrincipal({ id: world.a.id, slug: world.a.slug }))
  return world.kernel.db.tenant(world.a.id, (tx) => announceFreezes(tx, now(), actor))
}

describe('creation', () => {
  test('answers the window, and tells at once of one that has begun', async () => {
    const { id, path } = await makeEnvironment()
    const made = await freeze(path, now() - HOUR, now() + HOUR, { exceptions: [world.a.adminId] })
    expect(made).toMatchObject({
      status: 201,
      body: { data: { environmentId: id, reason: 'year end', active: true, exceptions: [world.a.adminId] } },
    })
    expect(await told(id)).toEqual(['started'])
    const environment = await world.call('GET', `/api/v1/environments/${id}`)
    expect(environment.body.data.freezeWindows).toEqual([made.body.data])
  })

  test.each([
    ['an end before its start', -1, -2],
    ['an end that has passed', -3, -2],
    ['more than 366 days', 0, 367 * 24],
  ])('refuses %s', async (_what, start, end) => {
    const { path } = await makeEnvironment()
    expect(await freeze(path, now() + start * HOUR, now() + end * HOUR)).toMatchObject({
      status: 400,
      body: { error: { code: 'VAL_INVALID_RANGE' } },
    })
  })

  test('refuses exceptions that name nobody of this tenant', async () => {
    const { path } = await makeEnvironment()
    const refused = await freeze(path, now(), now() + HOUR, { exceptions: [world.a.adminId, world.b.adminId] })
    expect(refused).toMatchObject({
      status: 400,
      body: { error: { validationErrors: [{ field: 'exceptions[1]', code: 'reference' }] } },
    })
  })

  test('refuses a time that there never was', async () => {
    const { path } = await makeEnvironment()
    const body = { start: '2030-06-30T23:59:60Z', end: '2030-07-01T23:59:60Z', reason: 'leap' }
    expect(await world.call('POST', path, { body })).toMatchObject({
      status: 400,
      body: {
        error: {
          validationErrors: [
            { field: 'end', code: 'format' },
            { field: 'start', code: 'format' },
          ],
        },
      },
    })
  })
})

describe('the passing of time', () => {
  test('begins and ends windows, each told once', async () => {
    const { id, path } = await makeEnvironment()
    await freeze(path, now() + HOUR, now() + 2 * HOUR)
    const active = async () => (await world.call('GET', path)).body.data[0].active
    await announce()
    expect([await active(), await told(id)]).toEqual([false, []])
    world.clock?.advance(HOUR)
    await announce()
    await announce()
    expect([await active(), await told(id)]).toEqual([true, ['started']])
    world.clock?.advance(HOUR)
    await announce()
    expect([await active(), await told(id)]).toEqual([false, ['started', 'ended']])
    expect((await world.call('GET', `/api/v1/environments/${id}`)).body.data.freezeWindows).toEqual([])
  })

  test('tells of a window that came and went while nobody looked', async () => {
    const { id, path } = await makeEnvironment()
    await freeze(path, now() + HOUR, now() + 2 * HOUR)
    world.clock?.advance(DAY)
    await announce()
    expect(await told(id)).toEqual(['started', 'ended'])
  })

  test('a weekly window comes back until its last time', async () => {
    const { id, path } = await makeEnvironment()
    const start = now() + HOUR
    await freeze(path, start, start + HOUR, { recurrence: { freq: 'weekly', until: iso(start + 7 * DAY) } })
    const active = async () => (await world.call('GET', `${path}?active=true`)).body.data.length
    const seen: number[] = []
    for (const step of [HOUR, HOUR, 7 * DAY - HOUR, HOUR, 7 * DAY - HOUR]) {
      world.clock?.advance(step)
      await announce()
      seen.push(await active())
    }
    expect(seen).toEqual([1, 0, 1, 0, 0])
    expect(await told(id)).toEqual(['started', 'ended', 'started', 'ended'])
  })
})

describe('recurrence', () => {
  const last = async (first: string, freq: string | null, until: string | null, bound: string) => {
    const row = await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.one<{ at: number | null; next: number | null }>(sql`
        select wh_last_occurrence(${first}::timestamptz, ${freq}, ${until}::timestamptz, ${bound}::timestamptz) as at,
               wh_next_occurrence(${first}::timestamptz, ${freq}, ${until}::timestamptz, ${bound}::timestamptz) as next`),
    )
    const day = (at: number | null) => (at === null ? null : iso(at).slice(0, 10))
    return [day(row.at), day(row.next)]
  }

  test.each([
    ['2030-01-31', 'monthly', null, '2030-03-30', '2030-02-28', '2030-03-31'],
    ['2030-01-31', 'monthly', null, '2030-03-31', '2030-03-31', '2030-04-30'],
    ['2028-02-29', 'yearly', null, '2031-01-01', '2030-02-28', '2031-02-28'],
    ['2028-02-29', 'yearly', '2030-01-01', '2031-01-01', '2029-02-28', null],
    ['2030-01-01', 'weekly', null, '2030-01-08', '2030-01-08', '2030-01-15'],
    ['2030-01-01', null, null, '2040-01-01', '2030-01-01', null],
    ['2030-01-01', 'monthly', null, '2029-12-31', null, '2030-01-01'],
  ])('from %s %s until %s: on %s the last was %s and the next is %s', async (first, freq, until, bound, was, next) => {
    expect(await last(`${first}Z`, freq, until && `${until}Z`, `${bound}Z`)).toEqual([was, next])
  })
})

test('the list narrows to a time and to what is active, in order of start', async () => {
  const { path } = await makeEnvironment()
  const base = now()
  for (const [from, to] of [
    [3, 4],
    [-1, 1],
    [10, 20],
  ] as const)
    await freeze(path, base + from * DAY, base + to * DAY)
  const starts = async (query: string) =>
    (await world.call('GET', `${path}${query}`)).body.data.map(({ start }: { start: string }) =>
      Math.round((Date.parse(start) - base) / DAY),
    )
  expect(await starts('')).toEqual([-1, 3, 10])
  expect(await starts('?active=true')).toEqual([-1])
  expect(await starts(`?from=${iso(base + 2 * DAY)}&to=${iso(base + 10 * DAY)}`)).toEqual([3])
  expect(await starts(`?from=${iso(base + 4 * DAY)}`)).toEqual([10])
  expect(await starts(`?sort=-start&filter=${encodeURIComponent('{"active":false}')}`)).toEqual([10, 3])
})

test('removal of a running window ends it', async () => {
  const { id, path } = await makeEnvironment()
  const made = await freeze(path, now() - HOUR, now() + HOUR)
  const deleted = await world.call('DELETE', `${path}/${made.body.data.id}`)
  expect(deleted.body.data).toEqual({ deleted: true })
  expect(await told(id)).toEqual(['started', 'ended'])
  expect((await world.call('DELETE', `${path}/${made.body.data.id}`)).status).toBe(404)
})
