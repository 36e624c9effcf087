import { expect, test } from 'vitest'
import { decisionWord } from './decision-words.ts'
import { FIRST_BUNDLE, problemOf, readPolicy } from './policy-text.ts'

test('the first bundle reads without a problem, with its cases', () => {
  const read = readPolicy(FIRST_BUNDLE)
  expect(read).toMatchObject({ problems: [], rules: 1 })
  expect(read.cases.map(({ expect: expected, line }) => [expected, line])).toEqual([
    ['require_approval', 15],
    ['allow', 18],
  ])
})

test('what is not YAML, and a case without its parts, are problems at their lines', () => {
  expect(readPolicy('rules: [').problems[0]?.severity).toBe('error')
  expect(readPolicy('- a').problems[0]?.message).toContain('map')
  expect(readPolicy('rules: []\ntests:\n  - name: x\n').problems).toMatchObject([{ line: 3, severity: 'warning' }])
})

test('what the server says is shown where it says', () => {
  expect(problemOf('invalid policy content: line 4, column 7: no such field', '')).toMatchObject({ line: 4, column: 7 })
  expect(problemOf('rules[1].decision: unknown', 'rules:\n  - id: a\n  - id: b\n')).toMatchObject({ line: 3 })
  expect(problemOf('too long', 'x')).toMatchObject({ line: 1 })
})

test.each([
  ['permit', 'ALLOW'],
  ['block', 'DENY'],
  ['require-approval', 'REQUIRE_APPROVAL'],
  ['require_human', 'REQUIRE_APPROVAL'],
  ['throttle', 'THROTTLE'],
])('%s means %s', (text, word) => expect(decisionWord(text)).toBe(word))
