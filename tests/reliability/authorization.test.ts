import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DOORS, type Matrix, openMatrix } from '../../campaigns/authorization.ts'

// Every cell is asked by `npm run campaign -- authorization`; here a part that the seed chooses, and all of the doors beside HTTP. Each door
// is a test of its own on one world, so that none comes near its time on a busy machine.
let matrix: Matrix
beforeAll(async () => {
  matrix = await openMatrix({ seed: 46, share: 0.2 })
})
afterAll(() => matrix?.close())

describe('nobody does or sees what the permission model does not give them', () => {
  test.each(DOORS)('%s', async (door) => {
    expect(await matrix.ask([door])).toEqual([])
  })

  test('not one cell was left out, nothing of the other tenant has changed, and nothing that it does is heard', async () => {
    const { violations, cells, total, realObjects } = await matrix.finish()
    expect(violations).toEqual([])
    expect(total).toBeGreaterThan(2500)
    expect(realObjects).toBeGreaterThan(100)
    expect(Object.keys(cells).length).toBeGreaterThan(14)
  })
})
