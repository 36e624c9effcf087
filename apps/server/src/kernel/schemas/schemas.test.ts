import { describe, expect, test } from 'vitest'
import { compileOwn, compileSchema, describeProblems } from './index.ts'

const OBJECT = {
  type: 'object',
  required: ['name'],
  additionalProperties: false,
  properties: { name: { type: 'string', minLength: 1 }, count: { type: 'integer' }, when: { format: 'date-time' } },
}

describe('compile', () => {
  test('says where a value does not fit, and leaves the value as it is', () => {
    const schema = compileSchema({ ...OBJECT, properties: { ...OBJECT.properties, size: { default: 3 } } })
    const value = { name: 'a', count: 1 }
    expect(schema.problems(value)).toEqual([])
    expect(value).toEqual({ name: 'a', count: 1 })
    expect(schema.problems({ name: '', count: '1', more: true, when: 'soon' })).toEqual([
      { path: '', message: 'must not have the member "more"' },
      { path: '/name', message: 'must NOT have fewer than 1 characters' },
      { path: '/count', message: 'must be integer' },
      { path: '/when', message: 'must match format "date-time"' },
    ])
    expect(describeProblems(schema.problems({ name: 'a', count: 1.5 }))).toBe('/count must be integer')
  })

  test.each([
    ['no object', [], 'must be an object'],
    ['a wrong keyword', { type: 'strin' }, '/type'],
    ['a pattern that is none', { pattern: '(' }, 'schema does not compile'],
    ['a reference outside the document', { $ref: 'https://elsewhere.example/x.json' }, "can't resolve reference"],
    ['a reference to nowhere', { $ref: '#/$defs/none' }, "can't resolve reference"],
    ['an unknown draft', { $schema: 'http://json-schema.org/draft-04/schema#' }, 'draft-06, draft-07'],
    ['more than a quarter of a megabyte', { description: 'x'.repeat(300_000) }, 'at most 256 KiB'],
  ])('refuses %s', (_, schema, words) => {
    expect(() => compileSchema(schema)).toThrow(words)
  })

  test('reads each draft by its own rules', () => {
    const tuple = compileSchema({ $schema: 'http://json-schema.org/draft-07/schema#', items: [{ type: 'integer' }] })
    expect(tuple.problems(['a'])).toHaveLength(1)
    expect(tuple.problems([1, 'a'])).toEqual([])
    const newer = compileSchema({ prefixItems: [{ type: 'integer' }] })
    expect(newer.problems(['a'])).toHaveLength(1)
    const middle = compileSchema({
      $schema: 'https://json-schema.org/draft/2019-09/schema',
      dependentRequired: { a: ['b'] },
    })
    expect(middle.problems({ a: 1 })).toHaveLength(1)
  })

  test('references within the document resolve, and equal ids of two schemas are nothing to each other', () => {
    const list = compileSchema({
      $id: 'https://x.example/list',
      $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' } }, required: ['value'] } },
      $ref: '#/$defs/node',
    })
    expect(list.problems({ value: 1, next: { value: 2 } })).toEqual([])
    expect(list.problems({ value: 1, next: {} })).toHaveLength(1)
    expect(compileSchema({ $id: 'https://x.example/list', type: 'string' }).problems('a')).toEqual([])
  })

  test('null is a value: `const: null` takes nothing else', () => {
    expect(compileSchema({ const: null }).problems(null)).toEqual([])
    expect(compileSchema({ const: null }).problems(1)).toHaveLength(1)
    expect(compileSchema(true).problems(1)).toEqual([])
    expect(compileSchema(false).problems(1)).toHaveLength(1)
  })
})

describe('a schema cannot stop the process', () => {
  test.each<[string, object, unknown]>([
    ['a pattern that backtracks', { type: 'string', pattern: '^(a+)+$' }, `${'a'.repeat(40)}b`],
    [
      'references that multiply',
      {
        $defs: { a: { properties: { n: { allOf: [{ $ref: '#/$defs/a' }, { $ref: '#/$defs/a' }] } } } },
        $ref: '#/$defs/a',
      },
      Array.from({ length: 60 }).reduce((inner) => ({ n: inner }), {}),
    ],
    ['a reference to itself', { $ref: '#' }, {}],
  ])('%s ends as a value that does not fit', (_, schema, value) => {
    const began = performance.now()
    let words: string
    try {
      words = describeProblems(compileSchema(schema).problems(value))
    } catch (error) {
      words = (error as Error).message
    }
    expect(words).toMatch(/simpler|compile/)
    expect(performance.now() - began).toBeLessThan(4_000)
  })
})

test('a schema that is slow for each of many values is not asked again and again', () => {
  const schema = compileSchema({ type: 'string', pattern: '^(a+)+$', title: 'slow for each' })
  const began = performance.now()
  for (let n = 0; n < 100; n++) expect(schema.problems(`${'a'.repeat(40)}b`)).toHaveLength(1)
  expect(performance.now() - began).toBeLessThan(6_000)
  expect(describeProblems(schema.problems('a'))).toContain('already; make it simpler')
})

test('one of our own is compiled whatever time it takes, and says the same', () => {
  expect(compileOwn({ type: 'object', required: ['a'] }).problems({})).toHaveLength(1)
  expect(() =>
    compileSchema(
      {
        type: 'object',
        title: 'in no time',
        properties: Object.fromEntries(Array.from({ length: 3000 }, (_, n) => [`p${n}`, { type: 'string' }])),
      },
      1,
    ),
  ).toThrow('it took more than 1 ms')
})
