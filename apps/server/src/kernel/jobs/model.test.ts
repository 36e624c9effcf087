import { afterAll, beforeAll, expect, test } from 'vitest'
import { playJobs } from '../../testing/models/jobs.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

// The long form: `npm run campaign -- model --subject job --sequences 10000`.
test('random commands on jobs, one after another and at once, go as the model says', async () => {
  const { divergences, seen } = await playJobs(world, { sequences: 60, seed: Date.now() % 100_000, lanes: 12 })
  expect(divergences).toEqual([])
  expect(seen.counts.size).toBeGreaterThan(20)
})
