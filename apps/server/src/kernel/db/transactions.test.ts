import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'
import { sql } from './index.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

/** What followed a transaction that did this at its end. */
async function followed(end: (run: (statement: string) => Promise<unknown>) => Promise<void>): Promise<string[]> {
  const told: string[] = []
  await world.kernel.db
    .tenant(world.a.id, async (tx) => {
      tx.afterCommit(() => void told.push('committed'))
      tx.afterCommit(() => {
        throw new Error('a nudge that fails')
      })
      tx.afterCommit(() => void told.push('and told'))
      tx.afterRollback((known) => void told.push(known ? 'rolled back' : 'perhaps rolled back'))
      await end((statement) => tx.query(statement, []))
    })
    .catch((error: Error) => told.push(error.message))
  return told
}

test('what follows a commit follows it whatever one of them does, and nothing else', async () => {
  expect(await followed(async () => undefined)).toEqual(['committed', 'and told'])
})

test('what follows a rollback knows that nothing is there', async () => {
  expect(
    await followed(async (run) => {
      await run('select 1')
      throw new Error('it was not to be')
    }),
  ).toEqual(['rolled back', 'it was not to be'])
  expect((await followed((run) => run('select 1 / 0').then(() => undefined)))[0]).toBe('rolled back')
})

test('whose connection is lost at the commit does not know what became of it', async () => {
  const [first] = await followed(async (run) => {
    await run(`set local idle_in_transaction_session_timeout = '50ms'`)
    await pause(300)
  })
  expect(first).toBe('perhaps rolled back')
  expect(await world.kernel.db.tenant(world.a.id, (tx) => tx.one(sql`select 1 as one`))).toEqual({ one: 1 })
})
