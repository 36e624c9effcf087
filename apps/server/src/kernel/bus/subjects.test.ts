import { array, assert, constantFrom, property } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { covers, overlaps, subjectProblem, subscriptionProblem, token } from './subjects.ts'

describe('a subject pattern', () => {
  test.each(['a', 'a.b', 'cirata.extensions.*.info', '>', '*', 'a.>', '$JS.API.>', 'x'.repeat(255)])(
    '%s is valid',
    (pattern) => expect(subjectProblem(pattern)).toBeUndefined(),
  )

  test.each([
    ['', /empty/],
    ['a..b', /empty token/],
    ['.a', /empty token/],
    ['a.', /empty token/],
    ['a b', /blanks/],
    ['a\u0000', /control/],
    ['a.b*', /whole tokens/],
    ['>a', /whole tokens/],
    ['a.>.b', /at the end/],
    ['x'.repeat(256), /255/],
    ['é'.repeat(128), /255/],
  ])('%j is refused', (pattern, why) => expect(subjectProblem(pattern)).toMatch(why))

  test('may carry a queue group when it is subscribed to', () => {
    expect(subscriptionProblem('job.> workers')).toBeUndefined()
    expect(subscriptionProblem('job.> two groups')).toMatch(/at most one/)
    expect(subscriptionProblem('job.> ')).toMatch(/empty/)
  })
})

describe('a ceiling', () => {
  test.each([
    ['>', 'a.b.c', true],
    ['>', '>', true],
    ['a.>', 'a', false],
    ['a.>', 'a.*', true],
    ['a.*', 'a.b', true],
    ['a.*', 'a.*', true],
    ['a.*', 'a.>', false],
    ['a.*', 'a.b.c', false],
    ['a.b', 'a.*', false],
    ['a.b', 'a.b', true],
    ['a.b.c', 'a.b', false],
  ])('%s over %s: %s', (ceiling, asked, expected) => expect(covers(ceiling, asked)).toBe(expected))
})

describe('by the rules of the subjects', () => {
  const literal = array(constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'))
  const pattern = array(constantFrom('a', 'b', '*', '>'), { minLength: 1, maxLength: 4 }).map((parts) =>
    parts.slice(0, parts.includes('>') ? parts.indexOf('>') + 1 : undefined).join('.'),
  )

  test('what a covered pattern matches, its ceiling matches', () => {
    assert(
      property(
        pattern,
        pattern,
        literal,
        (ceiling, asked, subject) => !covers(ceiling, asked) || !covers(asked, subject) || covers(ceiling, subject),
      ),
    )
  })

  test('patterns overlap where a subject matches both', () => {
    assert(
      property(
        pattern,
        pattern,
        literal,
        (one, other, subject) => !covers(one, subject) || !covers(other, subject) || overlaps(one, other),
      ),
    )
    expect(overlaps('a.*', '*.b')).toBe(true)
    expect(overlaps('a.b', 'a.c')).toBe(false)
    expect(overlaps('a.*', 'a.b.c')).toBe(false)
  })
})

test('an id that would change the meaning of a subject is no token', () => {
  expect(token('0190-abc_D')).toBe('0190-abc_D')
  for (const id of ['', 'a.b', '*', '>', 'a b', 'x'.repeat(129)]) expect(() => token(id)).toThrow('subject token')
})
