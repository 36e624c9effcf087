import { expect, test } from 'vitest'
import { safeReturn } from './safe-return.ts'

test('after signing in one returns to the page that was asked for, never to another site', () => {
  expect(safeReturn('/fleet?q=status:failed')).toBe('/fleet?q=status:failed')
  expect([
    safeReturn('//evil.example'),
    safeReturn('https://evil.example'),
    safeReturn('/login'),
    safeReturn(undefined),
  ]).toEqual(['/', '/', '/', '/'])
  expect(safeReturn('/\\evil.example')).toBe('/')
})
