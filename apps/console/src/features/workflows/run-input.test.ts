import { describe, expect, test } from 'vitest'
import { flatFields, readInput, sampleInput, withField } from './run-input.ts'

const SCHEMA = {
  type: 'object',
  required: ['version', 'environment', 'regions'],
  properties: {
    version: { type: 'string', title: 'Version', description: 'The tag that is built' },
    environment: { type: 'string', enum: ['staging', 'production'] },
    percent: { type: 'integer', default: 10 },
    notify: { type: 'boolean', default: true },
    regions: { type: 'array' },
    note: { type: 'string' },
  },
}
const { regions: _, ...FLAT } = SCHEMA.properties

describe('the input to begin with', () => {
  test('has every default, empty values for what is required, and nothing else', () => {
    expect(sampleInput(SCHEMA)).toEqual({
      version: '',
      environment: 'staging',
      percent: 10,
      notify: true,
      regions: [],
    })
    expect(sampleInput(undefined)).toEqual({})
  })
})

describe('a form', () => {
  test('is drawn of texts, numbers, switches and choices', () => {
    expect(flatFields({ ...SCHEMA, properties: FLAT })).toEqual([
      { name: 'version', label: 'Version', help: 'The tag that is built', kind: 'text', required: true, choices: [] },
      {
        name: 'environment',
        label: 'environment',
        help: undefined,
        kind: 'choice',
        required: true,
        choices: ['staging', 'production'],
      },
      { name: 'percent', label: 'percent', help: undefined, kind: 'number', required: false, choices: [] },
      { name: 'notify', label: 'notify', help: undefined, kind: 'switch', required: false, choices: [] },
      { name: 'note', label: 'note', help: undefined, kind: 'text', required: false, choices: [] },
    ])
  })
  test('is not drawn of what it could not say: lists, objects, mixed types, nothing at all', () => {
    expect(flatFields(SCHEMA)).toBeUndefined()
    expect(flatFields({ properties: { a: { type: ['string', 'null'] } } })).toBeUndefined()
    expect(flatFields({ properties: { a: { enum: [null, 'x'] } } })).toBeUndefined()
    expect(flatFields({ type: 'object' })).toBeUndefined()
    expect(flatFields(undefined)).toBeUndefined()
  })
  test('changes one member and keeps the order of the others', () => {
    expect(JSON.parse(withField('{"a":1,"b":2}', 'a', 3))).toEqual({ a: 3, b: 2 })
    expect(Object.keys(JSON.parse(withField('{"a":1,"b":2}', 'a', 3)) as object)).toEqual(['a', 'b'])
    expect(JSON.parse(withField('{"a":1,"b":2}', 'a', undefined))).toEqual({ b: 2 })
    expect(JSON.parse(withField('', 'c', false))).toEqual({ c: false })
  })
  test('leaves alone what is not an object yet', () => {
    expect(withField('{"a":', 'a', 1)).toBe('{"a":')
  })
})

describe('what was typed', () => {
  test('is an object or a problem; nothing is an empty object', () => {
    expect(readInput(' ')).toEqual({ value: {} })
    expect(readInput('{"a":1}')).toEqual({ value: { a: 1 } })
    expect(readInput('[1]').problem).toMatch(/object/)
    expect(readInput('{').problem).toBeDefined()
  })
})
