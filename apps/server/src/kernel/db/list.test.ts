import { randomBytes } from 'node:crypto'
import type { ListSpec, Page } from '@wheelhouse/contract'
import pg from 'pg'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testDatabase } from '../../testing/world.ts'
import { ids } from '../clock/index.ts'
import { parseFilter } from './filter.ts'
import { listPage, type ListQuery, parseSort } from './list.ts'
import { type Db, openDb } from './pools.ts'
import { sql } from './index.ts'

interface Thing {
  id: string
  name: string
  size: number | null
  madeAt: number
  tag: string | null
}

const spec: ListSpec = {
  fields: {
    name: { type: 'text', sort: true, filter: true },
    size: { type: 'number', sort: true, filter: true, nullable: true },
    madeAt: { type: 'time', sort: true, filter: true },
    tag: { type: 'text', sort: true, nullable: true },
    secret: { type: 'text' },
  },
  default: '-madeAt',
}

const cursorSecret = randomBytes(32)
const START = Date.UTC(2026, 0, 1)
let database: Awaited<ReturnType<typeof testDatabase>>
let db: Db
const tenant = ids.next()
const other = ids.next()
const things: Thing[] = Array.from({ length: 137 }, (_, i) => ({
  id: ids.next(),
  // Many ties, empty values, and instants with fractions of a second.
  name: `n${i % 7}`,
  size: i % 5 === 0 ? null : i % 11,
  madeAt: START + Math.floor(i / 4) * 1001,
  tag: i % 3 === 0 ? null : i % 3 === 1 ? 'Z' : 'é',
}))

beforeAll(async () => {
  database = await testDatabase()
  const owner = new pg.Client({ connectionString: database.url })
  await owner.connect()
  await owner.query(`
    create table things (tenant_id uuid not null, id uuid not null, name text not null, size double precision, made_at timestamptz not null, tag text, primary key (tenant_id, id));
    select wh_protect('things')`)
  await owner.end()
  db = openDb({ url: database.url, log: pino({ level: 'silent' }) })
  await insert(tenant, things)
  await insert(
    other,
    things.slice(0, 3).map((thing) => ({ ...thing, id: ids.next() })),
  )
})
afterAll(async () => {
  await db.close()
  await database.drop()
})

const insert = (tenantId: string, rows: readonly Thing[]): Promise<number> =>
  db.tenant(tenantId, (tx) =>
    tx.run(sql`
      insert into things (tenant_id, id, name, size, made_at, tag)
      select ${tenantId}, * from unnest(${rows.map(({ id }) => id)}::uuid[], ${rows.map(({ name }) => name)}::text[],
        ${rows.map(({ size }) => size)}::float8[], ${rows.map(({ madeAt }) => new Date(madeAt))}::timestamptz[], ${rows.map(({ tag }) => tag)}::text[])`),
  )

const page = (query: Partial<ListQuery> & { order?: string; where?: string } = {}): Promise<Page<Thing>> => {
  const { order, where, ...rest } = query
  return db.tenant(tenant, (tx) =>
    listPage<Thing, Thing>(
      tx,
      spec,
      {
        table: 'things',
        select: sql`things.id, things.name, things.size, things.made_at as "madeAt", things.tag`,
        map: (row) => row,
      },
      {
        page: 1,
        pageSize: 10,
        sort: parseSort(order, spec),
        cursorSecret,
        ...(where === undefined ? {} : { filter: parseFilter(where, spec.fields) }),
        ...rest,
      },
    ),
  )
}

/** What the list promises, done in memory: empty last in both directions, code points, the id as last key in the first key's direction. */
function sorted(order: string, rows: readonly Thing[] = things): Thing[] {
  const by = parseSort(order, spec)
  const compare = (a: string | number, b: string | number) =>
    typeof a === 'string' ? Buffer.compare(Buffer.from(a), Buffer.from(String(b))) : a - Number(b)
  return [...rows].sort((one, two) => {
    for (const { field, descending } of by) {
      const [a, b] = [one[field as keyof Thing], two[field as keyof Thing]]
      if (a === b) continue
      if (a === null) return 1
      if (b === null) return -1
      const way = compare(a, b)
      if (way !== 0) return descending ? -way : way
    }
    const way = compare(one.id, two.id)
    return by[0]?.descending ? -way : way
  })
}

describe.each([
  'name',
  '-name',
  'size',
  '-size',
  '-madeAt',
  'tag,-size',
  '-tag,name',
  'name,-madeAt,size',
  '-size,tag,-name',
])('sorted by %s', (order) => {
  const expected = sorted(order).map(({ id }) => id)

  test('pages by number hold every row once', async () => {
    const seen: string[] = []
    for (let number = 1; ; number++) {
      const { items, total, totalExact } = await page({ order, page: number, pageSize: 23 })
      expect([total, totalExact]).toEqual([things.length, true])
      if (items.length === 0) break
      seen.push(...items.map(({ id }) => id))
    }
    expect(seen).toEqual(expected)
  })

  test('pages by cursor do, too', async () => {
    const seen: string[] = []
    let cursor: string | undefined
    for (;;) {
      const { items, next, total } = await page({ order, pageSize: 10, ...(cursor === undefined ? {} : { cursor }) })
      expect(total).toBe(things.length)
      seen.push(...items.map(({ id }) => id))
      if (next === null) break
      cursor = next
    }
    expect(seen).toEqual(expected)
  })
})

test('rows show nothing of how they were sorted', async () => {
  expect(Object.keys((await page()).items[0] ?? {}).toSorted()).toEqual(['id', 'madeAt', 'name', 'size', 'tag'])
})

test('filters narrow rows and totals alike', async () => {
  const wanted = things.filter(({ name, size }) => name === 'n3' && size !== null && size >= 4)
  const found = await page({ order: 'size', where: '{"name":"n3","size":{"$gte":4}}', pageSize: 100 })
  expect(found.items.map(({ id }) => id)).toEqual(sorted('size', wanted).map(({ id }) => id))
  expect(found).toMatchObject({ total: wanted.length, totalExact: true, next: null })
  const empty = await page({ where: '{"name":"none"}' })
  expect(empty).toMatchObject({ items: [], total: 0, totalExact: true, next: null })
  const beyond = await page({ where: '{"name":"n3"}', page: 99 })
  expect(beyond).toMatchObject({ items: [], total: things.filter(({ name }) => name === 'n3').length, next: null })
})

test('a row that comes between does not shift what a cursor gives', async () => {
  const first = await page({ order: 'name', pageSize: 20 })
  const late: Thing = { id: ids.next(), name: 'a', size: 1, madeAt: START, tag: null }
  await insert(tenant, [late])
  const second = await page({ order: 'name', pageSize: 20, cursor: first.next ?? '' })
  await db.tenant(tenant, (tx) => tx.run(sql`delete from things where id = ${late.id}`))
  expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(
    sorted('name')
      .slice(0, 40)
      .map(({ id }) => id),
  )
})

test('a cursor counts only whole, unchanged, and in the order that it was made for', async () => {
  const { next } = await page({ order: 'name' })
  const [body = '', mac = ''] = (next ?? '').split('.')
  const forged = Buffer.from(JSON.stringify(['zzz', ids.next()])).toString('base64url')
  for (const cursor of ['', 'x', `${forged}.${mac}`, body, `${body}.${'A'.repeat(mac.length)}`])
    await expect(page({ order: 'name', cursor })).rejects.toMatchObject({ code: 'VAL_INVALID_PAGINATION' })
  await expect(page({ order: '-name', cursor: next ?? '' })).rejects.toMatchObject({ code: 'VAL_INVALID_PAGINATION' })
  await expect(page({ order: 'name', cursor: next ?? '', cursorSecret: randomBytes(32) })).rejects.toMatchObject({
    code: 'VAL_INVALID_PAGINATION',
  })
})

test('pages end at 100,000 rows, with a hint to the cursor', async () => {
  await expect(page({ page: 10_001, pageSize: 10 })).rejects.toMatchObject({
    code: 'VAL_INVALID_PAGINATION',
    message: /cursor/,
  })
  await expect(page({ page: 10_000, pageSize: 10 })).resolves.toMatchObject({ items: [] })
})

test('totals are exact to 10,000 and estimates that say so beyond', async () => {
  const bulk = (count: number) =>
    db.tenant(tenant, (tx) =>
      tx.run(sql`
        insert into things (tenant_id, id, name, made_at) select ${tenant}, gen_random_uuid(), 'bulk', ${new Date(START)} from generate_series(1, ${count}::int)`),
    )
  await bulk(10_000)
  const where = '{"name":"bulk"}'
  expect(await page({ where })).toMatchObject({ total: 10_000, totalExact: true })
  await bulk(1)
  const more = await page({ where })
  expect(more.totalExact).toBe(false)
  expect(more.total).toBeGreaterThanOrEqual(10_001)
  expect(await page({ where: '{"name":"n1"}' })).toMatchObject({ totalExact: true })
  await db.tenant(tenant, (tx) => tx.run(sql`delete from things where name = 'bulk'`))
})

test('only declared fields sort, at most three', () => {
  for (const order of ['secret', 'unknown', '-', 'name;drop', 'id'])
    expect(() => parseSort(order, spec), order).toThrow(expect.objectContaining({ code: 'VAL_INVALID_SORT' }))
  expect(() => parseSort('name,size,tag,madeAt', spec)).toThrow(expect.objectContaining({ code: 'VAL_INVALID_SORT' }))
  expect(parseSort(undefined, spec)).toEqual([{ field: 'madeAt', descending: true }])
})

describe('filters', () => {
  test.each([
    ['not json', 'not_json'],
    ['[]', 'not_an_object'],
    ['{"secret":"x"}', 'unknown_field'],
    ['{"nothing":1}', 'unknown_field'],
    ['{"$where":1}', 'unknown_operator'],
    ['{"name":{"$regex":"x"}}', 'unknown_operator'],
    ['{"size":"4"}', 'type_mismatch'],
    ['{"size":{"$like":"4"}}', 'type_mismatch'],
    ['{"madeAt":"yesterday"}', 'type_mismatch'],
    ['{"name":{"$in":[]}}', 'needs_1_to_100_values'],
    ['{"$or":[]}', 'needs_1_to_20_filters'],
    ['{"name":{}}', 'empty'],
    [`{"name":"${'x'.repeat(4100)}"}`, 'too_long'],
    ['{"$and":[{"$and":[{"$and":[{"$and":[{"$and":[{"name":"a"}]}]}]}]}]}', 'too_deep'],
    [
      JSON.stringify({
        $or: Array.from({ length: 20 }, () => ({ $or: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] })),
      }),
      'too_many_conditions',
    ],
  ])('%s is refused', (text, reason) => {
    expect(() => parseFilter(text, spec.fields)).toThrow(
      expect.objectContaining({ code: 'VAL_INVALID_FILTER', details: expect.objectContaining({ reason }) }),
    )
  })

  test.each<[string, (thing: Thing) => boolean]>([
    ['{}', () => true],
    ['{"name":{"$like":"N*"}}', () => true],
    ['{"name":{"$like":"n?"},"size":null}', ({ size }) => size === null],
    ['{"name":{"$like":"%"}}', () => false],
    ['{"size":{"$exists":true,"$lt":3}}', ({ size }) => size !== null && size < 3],
    ['{"size":{"$ne":3}}', ({ size }) => size !== 3],
    ['{"size":{"$nin":[1,2]}}', ({ size }) => size !== 1 && size !== 2],
    ['{"$not":{"size":{"$gt":3}}}', ({ size }) => !(size !== null && size > 3)],
    ['{"$or":[{"name":"n1"},{"size":["2",2]}]}'.replace('"2",', ''), ({ name, size }) => name === 'n1' || size === 2],
    ['{"madeAt":{"$lte":"2026-01-01T00:00:01.001Z"}}', ({ madeAt }) => madeAt <= START + 1001],
  ])('%s finds what it says', async (where, matches) => {
    const found = await page({ where, pageSize: 200, order: 'name' })
    expect(found.items.map(({ id }) => id)).toEqual(sorted('name', things.filter(matches)).map(({ id }) => id))
  })
})
