import { expect, test } from 'vitest'
import { execLine } from './exec-line.ts'

test('the line is one that a shell takes, whatever the command holds', () => {
  expect(execLine(['vm'], "echo it's $HOME")).toBe(String.raw`wheelhouse exec vm -- sh -c 'echo it'\''s $HOME'`)
  expect(execLine(['a', 'b'], 'uptime')).toBe(`for host in a b; do wheelhouse exec "$host" -- sh -c 'uptime'; done`)
})
