import canonicalize from 'canonicalize'
import { assert, json, property, string } from 'fast-check'
import { expect, test } from 'vitest'
import { jcs } from './sealed.ts'

test('the canonical form of anything that JSON can say is that of RFC 8785', () => {
  assert(
    property(json(), (text) => {
      const value: unknown = JSON.parse(text)
      expect(jcs(value)).toBe(canonicalize(value))
    }),
    { numRuns: 2000 },
  )
})

test('names and texts of any characters are ordered and spelled as RFC 8785 has it', () => {
  assert(
    property(string({ unit: 'binary' }), string({ unit: 'grapheme' }), (key, text) => {
      const value = { [key]: text, [text]: [text, { [key]: 1.5e300 }], a: -0 }
      expect(jcs(value)).toBe(canonicalize(value))
    }),
    { numRuns: 300 },
  )
})

test('half a character is refused', () => {
  expect(() => jcs('\ud800')).toThrow('half a character')
})
