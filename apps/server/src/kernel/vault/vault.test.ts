import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { openVault } from './index.ts'

const key = randomBytes(32)

test('opens what it sealed, and only under the same context', () => {
  const vault = openVault([key])
  const sealed = vault.seal('the seed', 'account A')
  expect(sealed).not.toContain('the seed')
  expect(vault.open(sealed, 'account A')).toBe('the seed')
  expect(() => vault.open(sealed, 'account B')).toThrow()
})

test('refuses a changed value and a key that it does not hold', () => {
  const sealed = openVault([key]).seal('x', 'c')
  const last = sealed.at(-2) === 'A' ? 'B' : 'A'
  expect(() => openVault([key]).open(`${sealed.slice(0, -2)}${last}${sealed.at(-1)}`, 'c')).toThrow()
  expect(() => openVault([randomBytes(32)]).open(sealed, 'c')).toThrow(/does not hold/)
})

test('reads old values after a rotation and says that they are stale', () => {
  const old = openVault([key]).seal('x', 'c')
  const rotated = openVault([randomBytes(32), key])
  expect(rotated.open(old, 'c')).toBe('x')
  expect(rotated.isStale(old)).toBe(true)
  expect(rotated.isStale(rotated.seal('x', 'c'))).toBe(false)
})
