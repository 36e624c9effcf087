import { expect, test } from 'vitest'
import { settle } from './settle.ts'

test('released, the new order holds', () => {
  expect(settle(['a', 'b'], ['b', 'a', 'c'], false)).toEqual({ order: ['b', 'a', 'c'], waiting: 0 })
})
test('held, known rows stay where they are and new ones wait', () => {
  expect(settle(['a', 'b'], ['c', 'b', 'a', 'd'], true)).toEqual({ order: ['a', 'b'], waiting: 2 })
})
test('held, a row that is gone leaves', () => {
  expect(settle(['a', 'b', 'c'], ['c', 'a'], true)).toEqual({ order: ['a', 'c'], waiting: 0 })
})
test('an empty table takes its first rows at once, also under the pointer', () => {
  expect(settle([], ['a'], true)).toEqual({ order: ['a'], waiting: 0 })
})
