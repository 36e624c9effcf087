import { expect, test } from 'vitest'
import { pairsOf } from './run-difference.ts'

const at = (second: number) => `2026-11-22T10:00:0${second}Z`

test('what differs between two runs of a step is named; times do not count', () => {
  const build = { step_id: 'build', status: 'succeeded' as const, attempts: 1, output: { a: 1 } }
  const pairs = pairsOf(
    {
      started_at: at(0),
      steps: {
        tell: { step_id: 'tell', status: 'succeeded', started_at: at(5), skipped: true },
        build: { ...build, started_at: at(1), input: { tag: '1' } },
        same: { step_id: 'same', status: 'succeeded', started_at: at(3) },
        'build[0]': { step_id: 'build[0]', status: 'succeeded' },
      },
    },
    {
      started_at: '2026-11-21T10:00:00Z',
      steps: {
        build: { ...build, started_at: at(2), attempts: 2, input: { tag: '2' }, output: { a: 1 } },
        same: { step_id: 'same', status: 'succeeded', started_at: at(9) },
        tell: { step_id: 'tell', status: 'failed', error: { message: 'no' } },
        extra: { step_id: 'extra', status: 'pending' },
        late: { step_id: 'late', status: 'succeeded', started_at: '2026-11-21T10:00:04Z' },
      },
    },
  )
  expect(pairs.map(({ key, differs }) => [key, differs])).toEqual([
    ['build', ['tries', 'input']],
    ['same', []],
    ['late', ['only in one']],
    ['tell', ['state', 'error']],
    ['extra', ['only in one']],
  ])
})
