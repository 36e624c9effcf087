import { afterAll, beforeAll, expect, test } from 'vitest'
import { playApprovals } from '../../testing/models/approvals.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

// The long form: `npm run campaign -- model --subject approval --sequences 10000`.
test('random votes, new terms, withdrawals and time, one after another and at once, go as the model says', async () => {
  const { divergences, seen } = await playApprovals(world, { sequences: 200, seed: Date.now() % 100_000 })
  expect(divergences).toEqual([])
  // One in five ends so.
  expect(seen.counts.get('decide approved')).toBeGreaterThan(15)
})
