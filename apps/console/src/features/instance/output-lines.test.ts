import { describe, expect, test } from 'vitest'
import type { OutputChunk } from '../../api/job-output.ts'
import { executionLines, streamedLines } from './output-lines.ts'

const chunks = (...written: [stream: OutputChunk['stream'], chunk: string][]): OutputChunk[] =>
  written.map(([stream, chunk], index) => ({ stream, chunk, seq: index + 1, at: '2026-11-22T14:00:00Z' }))
const texts = (...written: [OutputChunk['stream'], string][]) =>
  streamedLines(chunks(...written)).map((line) => line.text)

describe('output of a running job', () => {
  test('a chunk cut within a line is put together', () => {
    expect(texts(['stdout', 'one\ntw'], ['stdout', 'o'], ['stdout', '\nthree\n'], ['stdout', 'four\n'])).toEqual([
      'one',
      'two',
      'three',
      'four',
    ])
  })
  test('the two streams do not run into each other', () => {
    expect(texts(['stdout', 'half'], ['stderr', 'bad\n'], ['stdout', ' whole\n'])).toEqual(['half whole', 'bad'])
  })
  test('errors are marked, empty lines stay', () => {
    const lines = streamedLines(chunks(['stdout', 'a\n\nb\n'], ['stderr', 'bad\n']))
    expect(lines.map((line) => [line.text, line.level])).toEqual([
      ['a', undefined],
      ['', undefined],
      ['b', undefined],
      ['bad', 'warn'],
    ])
    expect(new Set(lines.map((line) => line.id)).size).toBe(4)
  })
})

test('output of a command that ended: errors follow and are marked', () => {
  const lines = executionLines({
    id: 'x',
    stdout: 'a\nb\n',
    stderr: 'bad\n',
    createdAt: '2026-11-22T14:00:00Z',
    completedAt: null,
  })
  expect(lines.map((line) => [line.text, line.level])).toEqual([
    ['a', undefined],
    ['b', undefined],
    ['bad', 'warn'],
  ])
})
