import { expect, test } from 'vitest'
import { neighbour } from './graph-keys.ts'

const places = new Map([
  ['a', { x: 0, y: 40 }],
  ['b', { x: 200, y: 0 }],
  ['c', { x: 200, y: 80 }],
  ['d', { x: 400, y: 40 }],
])
const edges = [
  { from: 'a', to: 'b' },
  { from: 'a', to: 'c' },
  { from: 'b', to: 'd' },
  { from: 'c', to: 'd' },
]

test.each([
  ['ArrowRight', 'a', 'b'],
  ['ArrowRight', 'c', 'd'],
  ['ArrowLeft', 'd', 'b'],
  ['ArrowLeft', 'a', undefined],
  ['ArrowDown', 'b', 'c'],
  ['ArrowUp', 'c', 'b'],
  ['ArrowUp', 'b', undefined],
  ['Enter', 'a', undefined],
])('%s from %s leads to %s', (key, from, to) => {
  expect(neighbour(key, from, edges, places)).toBe(to)
})
