import { expect, test } from 'vitest'
import { matrixCampaign } from '../../campaigns/authorization.ts'

// Every cell is asked by `npm run campaign -- authorization`; here a part that the seed chooses, and all of the doors beside HTTP.
test('nobody does or sees what the permission model does not give them', async () => {
  const { violations, cells, total, realObjects } = await matrixCampaign({ seed: 46, share: 0.2 })
  expect(violations).toEqual([])
  expect(total).toBeGreaterThan(2500)
  expect(realObjects).toBeGreaterThan(100)
  expect(Object.keys(cells).length).toBeGreaterThan(14)
}, 90_000)
