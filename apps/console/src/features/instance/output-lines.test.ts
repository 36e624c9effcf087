import { describe, expect, test } from 'vitest'
import { executionLines, streamedLines } from './output-lines.ts'

const frame = (message: string) => ({ createdAt: '2026-11-22T14:00:00Z', jobProgress: { jobId: 'a', message } })
const texts = (...messages: string[]) => streamedLines(messages.map(frame)).map((line) => line.text)

describe('output of a running job', () => {
  test('a message cut within a line is put together', () => {
    expect(texts('one\ntw', 'o\nthree\n', 'four\n')).toEqual(['one', 'two', 'three', 'four'])
  })
  test('messages without a newline are lines of their own', () => {
    expect(texts('queued', 'started')).toEqual(['queued', 'started'])
  })
  test('frames without a message say nothing', () => {
    expect(streamedLines([{ jobResult: { jobId: 'a', status: 'JOB_STATUS_SUCCEEDED' } }])).toEqual([])
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
