import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testDatabase } from '../../testing/world.ts'
import { hexes, instants, texts, words } from './index.ts'

let database: Awaited<ReturnType<typeof testDatabase>>
let client: pg.Client
beforeAll(async () => {
  database = await testDatabase()
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
})
afterAll(async () => {
  await client.end()
  await database.drop()
})

/** What PostgreSQL reads out of a column, as text. */
async function read(type: string, column: unknown): Promise<(string | null)[]> {
  const { rows } = await client.query<{ v: string | null }>(
    `select v::text as v from unnest($1::${type}[]) with ordinality as x(v, n) order by n`,
    [column],
  )
  return rows.map(({ v }) => v)
}

const HARD = [
  '',
  ' ',
  'null',
  'NULL',
  'Null',
  '"',
  '\\',
  '\\"',
  '{',
  '}',
  '{,}',
  ',',
  'a,b',
  "it's",
  'ä',
  '日本',
  '🦋',
  'a\nb',
]

test('words come back as they were, also those that would mean something in an array', async () => {
  const given = [...HARD, null, 'job-1', 'x'.repeat(300)]
  expect(await read('text', words(given))).toEqual(given)
  expect(await read('bigint', words([1, null, -5, 9_007_199_254_740_991]))).toEqual([
    '1',
    null,
    '-5',
    '9007199254740991',
  ])
  const id = '01890a5d-ac96-774b-bcce-b302099a8057'
  expect(await read('uuid', words([id, null]))).toEqual([id, null])
})

test('texts come back as they were, of any length and content', async () => {
  const given = [...HARD, null, '🦋'.repeat(20_000), JSON.stringify({ a: HARD })]
  expect(await read('text', texts(given))).toEqual(given)
  expect(await read('text', texts([null, null]))).toEqual([null, null])
})

test('instants are those milliseconds, and bytes those bytes', async () => {
  const at = [0, 1_700_000_000_123, 1_700_000_000_123, null, null, 253_402_300_799_000, 5]
  const { rows } = await client.query<{ v: string | null }>(
    `select (extract(epoch from v) * 1000)::bigint::text as v from unnest($1::timestamptz[]) with ordinality as x(v, n) order by n`,
    [instants(at)],
  )
  expect(rows.map(({ v }) => (v === null ? null : Number(v)))).toEqual(at)
  expect(await read('bytea', hexes(['00ff', null, '', 'abcdef']))).toEqual(['\\x00ff', null, '\\x', '\\xabcdef'])
})

test('no values are no rows', async () => {
  expect(await read('text', words([]))).toEqual([])
  expect(await read('text', texts([]))).toEqual([])
  expect(await read('timestamptz', instants([]))).toEqual([])
  expect(await read('bytea', hexes([]))).toEqual([])
})
