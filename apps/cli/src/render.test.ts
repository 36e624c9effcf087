import { describe, expect, test } from 'vitest'
import { age, bytes, duration, instant, left, moment, percent, share } from './cells.ts'
import { harmless, type Voice } from './io.ts'
import { card, serialised, table } from './render.ts'

const plain = { paint: (_style: unknown, text: string) => text } as unknown as Voice
const columns = {
  ID: ({ id }: { id: string; note: string | null }) => id,
  NOTE: ({ note }: { id: string; note: string | null }) => note,
}

describe('a table', () => {
  test('has a head, a row an item, and no blanks at the ends of lines', () => {
    const items = [
      { id: 'web-1', note: 'fine' },
      { id: 'database-12', note: null },
    ]
    expect(table(items, columns, plain)).toBe('ID           NOTE\nweb-1        fine\ndatabase-12  –')
    expect(table([], columns, plain)).toBe('')
  })

  test('gives way where the terminal is narrow, from the widest column, and keeps what people copy', () => {
    const wide = table([{ id: 'an-id-of-some-length', note: 'x'.repeat(100) }], columns, plain, 40)
    expect(Math.max(...wide.split('\n').map((line) => line.length))).toBeLessThanOrEqual(40)
    expect(wide).toContain('…')
    expect(wide).toContain('an-id-of-some-length ')
    expect(table([{ id: 'x'.repeat(60), note: 'short' }], columns, plain, 40)).toContain('x'.repeat(60))
  })

  test('shows control characters of others as text and keeps an item on one line', () => {
    const text = table([{ id: 'a', note: '\u001b[31mred\u001b[0m\nnext' }], columns, plain)
    expect(text).toContain(String.raw`\x1b[31mred\x1b[0m ⏎ next`)
    expect(text.split('\n')).toHaveLength(2)
    expect(harmless('tab\there')).toBe('tab\there')
  })
})

test('a card has a line for what there is to say, and indents what goes on', () => {
  expect(card({ id: 'a', note: 'one\ntwo' }, columns, plain)).toBe('ID    a\nNOTE  one\n      two')
  expect(card({ id: 'a', note: null }, columns, plain)).toBe('ID    a')
})

test('machines get what the server sent, in JSON and YAML', () => {
  const body = { items: [{ id: 'é', count: 0 }], next: null }
  expect(JSON.parse(serialised('json', body))).toEqual(body)
  expect(serialised('yaml', body)).toBe('items:\n  - id: é\n    count: 0\nnext: null')
})

describe('values', () => {
  const now = Date.parse('2026-03-04T05:06:07Z')

  test('times are read from seconds, milliseconds, microseconds and text', () => {
    for (const value of [now / 1000, now, now * 1000, '2026-03-04T05:06:07Z']) expect(instant(value)).toBe(now)
    for (const value of [null, undefined, '', 0, 'never']) expect(instant(value)).toBeUndefined()
    expect(moment(null)).toBe('–')
    expect(moment(now)).toMatch(/^2026-03-0[345] \d\d:\d\d:07$/)
  })

  test('ages and lengths read as people say them', () => {
    expect([0, 59_000, 61_000, 3_600_000, 90_000_000].map((ms) => age(now - ms, now))).toEqual([
      '0s',
      '59s',
      '1m',
      '1h',
      '1d',
    ])
    expect(age(now + 5000, now)).toBe('0s')
    expect([90_000, -1].map((ms) => left(now + ms, now))).toEqual(['1m', '0s'])
    expect([850, 12_300, 60_000, 250_000, 11_100_000].map(duration)).toEqual(['850ms', '12.3s', '1m', '4m10s', '3h5m'])
  })

  test('sizes and shares', () => {
    expect([bytes('0'), bytes(1536), bytes('25276502016'), bytes(null)]).toEqual(['0 B', '1.5 KiB', '23.5 GiB', '–'])
    expect([percent(12.345), percent(null), share('1', '4'), share('1', '0')]).toEqual(['12.3%', '–', '25.0%', '–'])
  })
})
