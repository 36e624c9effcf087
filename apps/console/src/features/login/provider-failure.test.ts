import { expect, test } from 'vitest'
import { providerFailure } from './provider-failure.ts'

test('what went wrong at the identity provider is told in words, and nothing where nothing did', () => {
  expect(providerFailure(undefined)).toBeUndefined()
  expect(providerFailure('sso_disabled')).toMatch(/disabled/)
  expect(providerFailure('<b>x</b>')).toBe('The sign-in did not end well.')
  expect(providerFailure('toString')).toBe('The sign-in did not end well.')
})
