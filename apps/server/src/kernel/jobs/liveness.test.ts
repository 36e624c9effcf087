import pg from 'pg'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testDatabase } from '../../testing/world.ts'
import { type Db, openDb } from '../db/index.ts'
import { type Liveness, openLiveness } from './liveness.ts'

const OWNER = 4711
const log = pino({ level: 'silent' })
let database: Awaited<ReturnType<typeof testDatabase>>
let db: Db
let other: pg.Client
let liveness: Liveness
beforeAll(async () => {
  database = await testDatabase()
  db = openDb({ url: database.url, log })
  other = new pg.Client({ connectionString: database.url })
  await other.connect()
  liveness = await openLiveness(db, log, OWNER)
})
afterAll(async () => {
  await liveness.close()
  await other.end()
  await db.close()
  await database.drop()
})

/** Connections that hold the lock, or wait for it. */
async function connections(): Promise<{ pid: number; waits: boolean }[]> {
  const { rows } = await other.query<{ pid: number; waits: boolean }>(
    `select pid, wait_event = 'advisory' as waits from pg_stat_activity
      where datname = current_database() and application_name = 'wheelhouse lock'`,
  )
  return rows
}

test('there is one connection for the lock, however often and whenever it is lost', async () => {
  const [first] = await connections()
  await other.query('select pg_terminate_backend($1)', [first?.pid])
  // Somebody else has the lock for a while, so that the next ones are lost as they wait for it.
  await other.query('select pg_advisory_lock(x, $1) from (values (1785684595)) as v(x)', [OWNER])
  for (let losses = 0; losses < 3; losses++) {
    await expect.poll(async () => (await connections()).filter(({ waits }) => waits).length).toBe(1)
    for (const { pid } of await connections()) await other.query('select pg_terminate_backend($1)', [pid])
  }
  await expect.poll(async () => (await connections()).map(({ waits }) => waits)).toEqual([true])
  await other.query('select pg_advisory_unlock_all()')
  await expect.poll(async () => (await connections()).map(({ waits }) => waits)).toEqual([false])
  expect(await liveness.dead([OWNER])).toEqual([])
  expect(await liveness.dead([OWNER])).toEqual([])
})
