import { expect, test } from 'vitest'
import { chartSentence, drawnValues, sampleIndexes } from './chart-data.ts'

const series = [
  { label: 'user', values: [10, null, 30] },
  { label: 'system', values: [5, 6, 7] },
]

test('a stack adds up and leaves gaps open', () => {
  expect(drawnValues(series, 'stack')).toEqual([
    [10, null, 30],
    [15, 6, 37],
  ])
})
test('two directions mirror around zero', () => {
  expect(drawnValues(series, 'mirror')[1]).toEqual([-5, -6, -7])
})
test('the sentence says now, lowest and highest', () => {
  expect(chartSentence('CPU', series, (value) => `${value} %`)).toBe(
    'CPU: user 30 % now, between 10 % and 30 %; system 7 % now, between 5 % and 7 %.',
  )
  expect(chartSentence('CPU', [{ label: 'user', values: [null] }], String)).toBe('CPU: no data.')
})
test('a sample keeps first and last', () => {
  expect(sampleIndexes(100, 4)).toEqual([0, 33, 66, 99])
  expect(sampleIndexes(2, 4)).toEqual([0, 1])
})
