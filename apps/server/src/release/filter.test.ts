import fc, { type Arbitrary } from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { at, jsonb, sql } from '../kernel/db/index.ts'
import { ids } from '../kernel/clock/index.ts'
import { openWorld, type World } from '../testing/world.ts'

/** `FILTER_SEED` repeats a run, `FILTER_RUNS` makes it deeper. */
const SEED = Number(process.env['FILTER_SEED'] ?? 1)
const RUNS = Number(process.env['FILTER_RUNS'] ?? 150)
const ROWS = 40

type Scalar = string | number | boolean | null
type Kind = 'text' | 'uuid' | 'number' | 'boolean' | 'time'
type Row = Readonly<Record<string, Scalar>>

/** What the list declares, as the reference sees it: a field, or one entry of the labels. */
const FIELDS: Readonly<Record<string, Kind>> = {
  id: 'uuid',
  environmentId: 'uuid',
  agentId: 'uuid',
  name: 'text',
  displayName: 'text',
  type: 'text',
  lastHealthMessage: 'text',
  'labels.zone': 'text',
  'labels.tier/level': 'text',
  version: 'number',
  maintenance: 'boolean',
  lastHealthCheck: 'time',
  createdAt: 'time',
}

let world: World
let rows: Row[]
beforeAll(async () => {
  world = await openWorld()
  rows = await makeRows()
})
afterAll(() => world.close())

/** Targets with every mixture of present and absent members. */
async function makeRows(): Promise<Row[]> {
  const { body } = await world.call('POST', '/api/v1/environments', {
    body: { name: 'all', displayName: 'all', orderIndex: 0 },
  })
  const environmentId: string = body.data.id
  const pick = <T>(i: number, ...values: T[]): T => values[i % values.length] as T
  await world.kernel.db.tenant(world.a.id, async (tx) => {
    for (let i = 0; i < ROWS; i++) {
      const labels = { ...(i % 3 ? { zone: pick(i, 'a', 'b', 'A%') } : {}), ...(i % 5 ? {} : { 'tier/level': '1' }) }
      await tx.run(sql`
        insert into targets (tenant_id, id, environment_id, name, display_name, type, connection, labels, maintenance, version,
          last_health_check, last_health_message, created_by, created_at, updated_at)
        values (${tx.tenantId}, ${ids.next()}, ${environmentId}, ${`t-${pick(i, 'red', 'green', 'blue')}-${i}`},
          ${pick(i, null, 'Shown', 'under_score', 'per%cent', String.raw`back\slash`)}, ${pick(i, 'memory', 'ssh_host')}, '{}', ${jsonb(labels)},
          ${i % 4 === 0}, ${1 + (i % 7)}, ${at(i % 2 ? Date.UTC(2030, i % 12, 1) : null)}, ${pick(i, null, 'ok', 'not ok')},
          ${world.a.adminId}, ${at(Date.UTC(2029, 0, 1 + i, 12, 0, 0, i))}, ${at(Date.UTC(2031, 0, 1))})`)
    }
  })
  const list = await world.call('GET', '/api/v1/targets?pageSize=100')
  return list.body.data.map((target: Record<string, unknown>) => {
    const labels = target['labels'] as Record<string, string>
    return Object.fromEntries(
      Object.keys(FIELDS).map((path) => [
        path,
        (path.startsWith('labels.') ? labels[path.slice('labels.'.length)] : (target[path] as Scalar)) ?? null,
      ]),
    )
  })
}

/** The grammar's meaning (release.md §2), once more and in the plainest way. */
function holds(filter: unknown, row: Row): boolean {
  return Object.entries(filter as Record<string, unknown>).every(([key, operand]) => {
    if (key === '$and') return (operand as unknown[]).every((each) => holds(each, row))
    if (key === '$or') return (operand as unknown[]).some((each) => holds(each, row))
    if (key === '$not') return !holds(operand, row)
    const kind = FIELDS[key] ?? 'text'
    const value = row[key] ?? null
    if (Array.isArray(operand)) return operand.some((each) => same(kind, value, each))
    if (typeof operand !== 'object' || operand === null) return same(kind, value, operand as Scalar)
    return Object.entries(operand).every(([op, given]) => compare(kind, op, value, given))
  })
}

const ordered = (kind: Kind, value: Scalar): string | number =>
  kind === 'time' ? Date.parse(String(value)) : kind === 'number' ? Number(value) : String(value)

function same(kind: Kind, value: Scalar, given: Scalar): boolean {
  if (value === null || given === null) return value === given
  if (kind === 'boolean') return value === given
  const plain = (each: Scalar) => (kind === 'uuid' ? String(each).toLowerCase() : ordered(kind, each))
  return plain(value) === plain(given)
}

function compare(kind: Kind, op: string, value: Scalar, given: Scalar | Scalar[]): boolean {
  if (Array.isArray(given)) {
    const found = given.some((each) => same(kind, value, each))
    return op === '$in' ? found : !found
  }
  switch (op) {
    case '$eq':
      return same(kind, value, given)
    case '$ne':
      return !same(kind, value, given)
    case '$exists':
      return (value !== null) === given
    case '$like':
      return value !== null && likeness(String(given)).test(String(value))
    default: {
      if (value === null) return false
      const [a, b] = [ordered(kind, value), ordered(kind, given)]
      return op === '$gt' ? a > b : op === '$gte' ? a >= b : op === '$lt' ? a < b : a <= b
    }
  }
}

function likeness(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`, 'is')
}

/** Operands of a field: mostly values that some row has, else others of the type. */
function operandOf(path: string): Arbitrary<Scalar> {
  const others: Record<Kind, Arbitrary<Scalar>> = {
    text: fc.constantFrom('', 'zzz', "it's", '%', '_', '\\', 'Shown ', 'SHOWN'),
    uuid: fc.constantFrom('no uuid', '00000000-0000-0000-0000-000000000000'),
    number: fc.constantFrom(0, -1, 2.5, 1e300, 9_007_199_254_740_992, 3),
    boolean: fc.boolean(),
    time: fc.constantFrom(
      '2030-03-01T00:00:00Z',
      '2030-03-01T02:00:00+02:00',
      '0001-01-01T00:00:00.000Z',
      '9999-12-31T23:59:59Z',
    ),
  }
  const known = [...new Set(rows.map((row) => row[path] ?? null))].filter((each) => each !== null)
  const other = others[FIELDS[path] ?? 'text']
  return known.length === 0 ? other : fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...known) }, other)
}

function conditionOf(path: string): Arbitrary<Record<string, unknown>> {
  const kind = FIELDS[path] ?? 'text'
  const one = operandOf(path)
  const orNull = fc.option(one, { freq: 6 })
  const some = fc.array(orNull, { minLength: 1, maxLength: 4 })
  const tests: Record<string, Arbitrary<unknown>> = {
    $eq: orNull,
    $ne: orNull,
    $in: some,
    $nin: some,
    $exists: fc.boolean(),
  }
  if (kind !== 'boolean') for (const op of ['$gt', '$gte', '$lt', '$lte']) tests[op] = one
  if (kind === 'text' || kind === 'uuid')
    tests['$like'] = fc.oneof(fc.constantFrom('*', 't-*-?', '*RED*', '???', 'per%*', '*_*', String.raw`*\*`, '0*'), one)
  return fc
    .oneof(
      orNull,
      some,
      fc.record(tests, { requiredKeys: [] }).filter((each) => Object.keys(each).length > 0),
    )
    .map((operand) => ({ [path]: operand }))
}

function filterOf(depth: number): Arbitrary<Record<string, unknown>> {
  const leaf = fc.constantFrom(...Object.keys(FIELDS)).chain(conditionOf)
  if (depth >= 4) return leaf
  const deeper = fc.array(filterOf(depth + 1), { minLength: 1, maxLength: 3 })
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .array(leaf, { minLength: 1, maxLength: 3 })
        .map((parts) => Object.assign({}, ...parts) as Record<string, unknown>),
    },
    { weight: 1, arbitrary: deeper.map(($and) => ({ $and })) },
    { weight: 1, arbitrary: deeper.map(($or) => ({ $or })) },
    { weight: 1, arbitrary: filterOf(depth + 1).map(($not) => ({ $not })) },
    { weight: 1, arbitrary: fc.constant({}) },
  )
}

/** How many conditions a filter has, as the limit counts them: one for each operator. */
function conditionsIn(filter: Record<string, unknown>): number {
  return Object.entries(filter).reduce((sum, [key, operand]) => {
    const inner = operand as Record<string, unknown>
    if (key === '$not') return sum + conditionsIn(inner)
    if (key === '$and' || key === '$or')
      return sum + (operand as Record<string, unknown>[]).reduce((n, each) => n + conditionsIn(each), 0)
    const isOperators = typeof operand === 'object' && operand !== null && !Array.isArray(operand)
    return sum + (isOperators ? Object.keys(inner).length : 1)
  }, 0)
}

const ask = (query: Record<string, string>) =>
  world.call('GET', `/api/v1/targets?${new URLSearchParams({ pageSize: '100', ...query })}`, {
    as: world.a.keys.viewer,
  })

test('the rows are as mixed as the test needs them', () => {
  expect(rows).toHaveLength(ROWS)
  for (const path of Object.keys(FIELDS).filter((each) => each !== 'environmentId' && each !== 'agentId'))
    expect(new Set(rows.map((row) => row[path])).size, path).toBeGreaterThan(1)
})

test('what the database finds is what the grammar means', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(filterOf(1), async (filter) => {
      const text = JSON.stringify(filter)
      fc.pre(Buffer.byteLength(text) <= 4096 && conditionsIn(filter) <= 50)
      const reply = await ask({ filter: text })
      expect(reply.status, JSON.stringify(reply.body.error)).toBe(200)
      const found = reply.body.data.map(({ id }: { id: string }) => id).sort()
      expect(found).toEqual(
        rows
          .filter((row) => holds(filter, row))
          .map((row) => row['id'])
          .sort(),
      )
    }),
    { seed: SEED, numRuns: RUNS, ...(process.env['FILTER_PATH'] ? { path: process.env['FILTER_PATH'] } : {}) },
  )
})

test('the order is that of the keys, absent last, then by id', async () => {
  const key = fc.tuple(fc.constantFrom(...Object.keys(FIELDS)), fc.boolean())
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(key, { minLength: 1, maxLength: 3, selector: ([path]) => path }), async (keys) => {
      const sort = keys.map(([path, down]) => `${down ? '-' : ''}${path}`).join(',')
      const reply = await ask({ sort })
      expect(reply.status, sort).toBe(200)
      const all = [...keys, ['id', keys[0]?.[1] ?? false] as [string, boolean]]
      const order = rows.toSorted((a, b) => {
        for (const [path, down] of all) {
          const [x, y] = [a[path] ?? null, b[path] ?? null]
          if (x === y) continue
          if (x === null || y === null) return x === null ? 1 : -1
          const kind = FIELDS[path] ?? 'text'
          const before = kind === 'boolean' ? Number(x) < Number(y) : ordered(kind, x) < ordered(kind, y)
          return before !== down ? -1 : 1
        }
        return 0
      })
      expect(reply.body.data.map(({ id }: { id: string }) => id)).toEqual(order.map((row) => row['id']))
    }),
    { seed: SEED, numRuns: Math.ceil(RUNS / 3) },
  )
})

describe('what is no filter', () => {
  const deep = (levels: number): unknown => (levels === 0 ? { name: 'x' } : { $not: deep(levels - 1) })
  const many = (n: number) => ({
    $and: Array.from({ length: Math.ceil(n / 5) }, () =>
      Object.fromEntries(
        ['name', 'type', 'displayName', 'id', 'version'].map((each) => [each, each === 'version' ? 1 : 'x']),
      ),
    ),
  })

  test.each<[string, unknown, string, string]>([
    ['an unknown field', { colour: 'red' }, 'colour', 'unknown_field'],
    ['an inherited name', { constructor: 'x' }, 'constructor', 'unknown_field'],
    ['a member that is no scalar', { connection: 'x' }, 'connection', 'unknown_field'],
    ['a whole map', { labels: 'x' }, 'labels', 'unknown_field'],
    ['below a scalar', { 'name.first': 'x' }, 'name.first', 'unknown_field'],
    ['a number for a text', { name: 5 }, 'name', 'type_mismatch'],
    ['a text for a number', { version: '5' }, 'version', 'type_mismatch'],
    ['what is no time', { createdAt: { $gt: 'yesterday' } }, 'createdAt', 'type_mismatch'],
    ['an order of booleans', { maintenance: { $gt: false } }, 'maintenance', 'not_ordered'],
    ['a like on a time', { createdAt: { $like: '2*' } }, 'createdAt', 'type_mismatch'],
    ['contains on a text', { name: { $contains: 'x' } }, 'name', 'type_mismatch'],
    ['an unknown operator', { name: { $near: 'x' } }, 'name', 'unknown_operator'],
    ['an unknown combination', { $xor: [] }, '$xor', 'unknown_operator'],
    ['an empty alternative', { $or: [] }, '$or', 'needs_1_to_20_filters'],
    ['an empty membership', { name: [] }, 'name', 'needs_1_to_100_values'],
    ['a deep place', { $or: [{ $and: [{ name: 'a', version: 'b' }] }] }, '$or[0].$and[0].version', 'type_mismatch'],
    ['six levels', deep(5), '$not.$not.$not.$not.$not', 'too_deep'],
    ['more than fifty conditions', many(55), '$and[10].name', 'too_many_conditions'],
    ['a list', [], '', 'not_an_object'],
    ['more than 4096 bytes', { name: 'x'.repeat(4096) }, '', 'too_long'],
    ['a NUL', { name: 'a\0' }, 'name', 'type_mismatch'],
  ])('%s is refused and told where', async (_what, filter, path, reason) => {
    expect(await ask({ filter: JSON.stringify(filter) })).toMatchObject({
      status: 400,
      body: { error: { code: 'VAL_INVALID_FILTER', details: { path, reason } } },
    })
  })

  test('five levels and fifty conditions are taken', async () => {
    expect((await ask({ filter: JSON.stringify(deep(4)) })).status).toBe(200)
    expect((await ask({ filter: JSON.stringify(many(50)) })).status).toBe(200)
  })

  test('nothing that parses or does not makes the server fail', async () => {
    const noise = fc.oneof(
      fc.json({ maxDepth: 3 }),
      fc.string({ maxLength: 60 }),
      fc
        .dictionary(
          fc.constantFrom('$and', '$or', '$not', 'labels.', 'labels.a.b', ...Object.keys(FIELDS)),
          fc.jsonValue({ maxDepth: 3 }),
          { maxKeys: 3 },
        )
        .map((each) => JSON.stringify(each)),
    )
    await fc.assert(
      fc.asyncProperty(noise, async (filter) => {
        const { status } = await ask({ filter })
        expect([200, 400]).toContain(status)
      }),
      { seed: SEED, numRuns: RUNS },
    )
  })
})
