import { array, assert, constantFrom, property, record, string, stringMatching, uniqueArray } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatQuery, matches, parseQuery, toggleValue, type Query } from './filter-grammar.ts'

const FIELDS = ['status', 'env', 'region']

describe('the grammar of the filter field', () => {
  test('terms, alternatives, exclusion and text are told apart', () => {
    expect(parseQuery('status:failed,warning -env:prod edge 07', FIELDS)).toEqual({
      terms: [
        { field: 'status', values: ['failed', 'warning'] },
        { field: 'env', values: ['prod'], not: true },
      ],
      text: 'edge 07',
    })
  })
  test('a colon makes no term unless the field is known', () => {
    expect(parseQuery('sha256:9f1c', FIELDS)).toEqual({ terms: [], text: 'sha256:9f1c' })
  })
  test('quotes hold blanks and commas together', () => {
    expect(parseQuery('region:"eu, west"', FIELDS).terms).toEqual([{ field: 'region', values: ['eu, west'] }])
  })
  test('an unfinished quote is read as far as it goes', () => {
    expect(parseQuery('region:"eu we', FIELDS).terms).toEqual([{ field: 'region', values: ['eu we'] }])
  })
  test('a backslash at the end of a quoted value stays in it', () => {
    const query = { terms: [{ field: 'env', values: ['\\', '!'] }], text: '' }
    expect(parseQuery(formatQuery(query, FIELDS), FIELDS)).toEqual(query)
  })
  test('two terms of one field are one', () => {
    expect(parseQuery('env:a env:b', FIELDS).terms).toEqual([{ field: 'env', values: ['a', 'b'] }])
  })
  test('every query reads back as it was written', () => {
    const value = string({ minLength: 1, maxLength: 12 }).filter((text) => text.trim() === text)
    const word = stringMatching(/^[^\s]{1,10}$/)
    const query = record({
      terms: uniqueArray(
        record({ field: constantFrom(...FIELDS), values: uniqueArray(value, { minLength: 1, maxLength: 3 }) }),
        { selector: (term) => term.field, maxLength: 3 },
      ),
      text: array(word, { maxLength: 3 }).map((words) => words.join(' ')),
    })
    assert(
      property(query, (original: Query) => {
        expect(parseQuery(formatQuery(original, FIELDS), FIELDS)).toEqual(original)
      }),
    )
  })
})

test('a facet adds and takes away its value', () => {
  const one = toggleValue({ terms: [], text: '' }, 'env', 'prod')
  const two = toggleValue(one, 'env', 'dev')
  expect(two.terms).toEqual([{ field: 'env', values: ['prod', 'dev'] }])
  expect(toggleValue(toggleValue(two, 'env', 'prod'), 'env', 'dev').terms).toEqual([])
})

test('a row answers when every term and every word does', () => {
  const row = { status: 'failed', env: ['prod', 'eu'] } as const
  const ask = (source: string) =>
    matches(
      parseQuery(source, FIELDS),
      (field) => (field === 'status' ? row.status : field === 'env' ? row.env : undefined),
      () => 'edge-eu-07 hetzner',
    )
  expect([
    ask('status:failed env:eu EDGE'),
    ask('-status:failed'),
    ask('edge aws'),
    ask('region:x'),
    ask('-region:x'),
  ]).toEqual([true, false, false, false, true])
})
