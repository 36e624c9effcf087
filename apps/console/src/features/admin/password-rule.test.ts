import { expect, test } from 'vitest'
import { passwordFault } from './password-rule.ts'

test.each([
  ['Short-1', 'Use at least 12 characters.'],
  ['long-enough-1', 'Add a capital letter.'],
  ['Long-enough-x', 'Add a digit.'],
  ['LongEnough1234', 'Add a sign, such as - or !.'],
  ['Long-enough-1', undefined],
])('%s: %s', (password, fault) => expect(passwordFault(password)).toBe(fault))
