import { describe, expect, test } from 'vitest'
import { byteRate, bytes, instant, plural, sentence, span, stamp, took } from './age.ts'

describe('ages and durations', () => {
  test.each([
    [0, '0 s'],
    [40, '40 ms'],
    [340, '0.3 s'],
    [2_900, '2 s'],
    [41 * 60_000, '41 min'],
    [5 * 3_600_000, '5 h'],
    [(19 * 24 + 4) * 3_600_000, '19 d 4 h'],
    [400 * 24 * 3_600_000, '400 d'],
    [-5, '0 s'],
  ])('an age of %d ms is written %s', (ms, words) => expect(span(ms)).toBe(words))

  test.each([
    [38_000, '38 s'],
    [157_000, '2 m 37 s'],
    [3_840_000, '1 h 04 m'],
    [1_234, '1.2 s'],
  ])('a duration of %d ms is written %s', (ms, words) => expect(took(ms)).toBe(words))

  test('an absolute time names its day and its zone', () => {
    expect(stamp(Date.UTC(2026, 10, 22, 14, 32, 7))).toBe('2026-11-22 14:32:07 UTC')
  })
})

describe('what the surfaces send as time', () => {
  const at = Date.UTC(2026, 10, 22, 14, 32, 7)
  test.each([
    ['ISO text', new Date(at).toISOString()],
    ['milliseconds', at],
    ['seconds', at / 1000],
    ['microseconds', at * 1000],
  ])('%s is understood', (_name, value) => expect(instant(value)).toBe(at))

  test('nothing stays nothing', () => {
    expect([instant(undefined), instant(null), instant(''), instant('never'), instant(0)]).toEqual(
      Array.from({ length: 5 }, () => undefined),
    )
  })
})

test('rates are decimal, and a text becomes a sentence', () => {
  expect([byteRate(9_500_000), byteRate(5_000_000), byteRate(120)]).toEqual(['9.5 MB/s', '5 MB/s', '120 B/s'])
  expect([sentence('disk full'), sentence('Why?'), sentence(undefined)]).toEqual(['disk full.', 'Why?', ''])
})

test('sizes and counts carry their units', () => {
  expect(bytes(3_350_000_000)).toBe('3.1 GB')
  expect(bytes(512)).toBe('512 B')
  expect(plural(1, 'instance')).toBe('1 instance')
  expect(plural(1284, 'entry', 'entries')).toBe('1,284 entries')
})
