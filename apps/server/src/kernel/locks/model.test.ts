import { afterAll, beforeAll, expect, test } from 'vitest'
import { playLocks } from '../../testing/models/locks.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

// The long form: `npm run campaign -- model --subject lock --sequences 10000`.
test('random acts on locks, one after another and at once, go as the model says', async () => {
  const { divergences, seen } = await playLocks(world, { sequences: 60, seed: Date.now() % 100_000, lanes: 4 })
  expect(divergences).toEqual([])
  expect(seen.counts.get('acquire new')).toBeGreaterThan(20)
})
