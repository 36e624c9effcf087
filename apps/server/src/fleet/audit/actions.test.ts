import { declared } from '@wheelhouse/contract'
import { expect, test } from 'vitest'
import { actionOf } from './actions.ts'

test('every declared change has a word of the fleet, so that its trail leaves none out', () => {
  const changes = declared
    .map(({ endpoint }) => endpoint)
    .filter(
      ({ verb, method, permission }) =>
        permission !== 'public' && verb !== null && (verb !== undefined || method !== 'GET'),
    )
  const verbs = new Set(changes.map(({ verb, permission }) => verb ?? permission.replace(':', '.')))
  expect(verbs.size).toBeGreaterThan(50)
  expect([...verbs].filter((verb) => actionOf(verb) === undefined)).toEqual([])
})
