import { expect, test } from 'vitest'
import { ids } from './index.ts'

const V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test('ids are UUIDv7, never twice the same, and in the order of their making however many there are in a millisecond', () => {
  const made = Array.from({ length: 50_000 }, () => ids.next())
  expect(made.every((id) => V7.test(id))).toBe(true)
  expect(new Set(made).size).toBe(made.length)
  expect(made).toEqual(made.toSorted())
})

test('the time inside an id is about the time of its making', () => {
  const before = Date.now()
  const at = ids.timeOf(ids.next()) ?? 0
  expect(at).toBeGreaterThanOrEqual(before)
  expect(at).toBeLessThan(before + 1000)
})

test('ids of a given instant find it again and grow', () => {
  const made = Array.from({ length: 1000 }, () => ids.at(1_700_000_000_000))
  expect(made.every((id) => ids.timeOf(id) === 1_700_000_000_000)).toBe(true)
  expect(made).toEqual(made.toSorted())
})
