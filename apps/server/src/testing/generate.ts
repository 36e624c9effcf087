import fc, { type Arbitrary } from 'fast-check'

/** A JSON Schema, as far as our declarations use it. */
export interface Schema {
  type?: string | readonly string[]
  enum?: readonly unknown[]
  const?: unknown
  anyOf?: readonly Schema[]
  oneOf?: readonly Schema[]
  allOf?: readonly Schema[]
  properties?: Readonly<Record<string, Schema>>
  required?: readonly string[]
  additionalProperties?: boolean | Schema
  patternProperties?: Readonly<Record<string, Schema>>
  propertyNames?: Schema
  items?: Schema
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  format?: string
}

const LONGEST = 40

/** Values that a schema accepts; small ones, so that thousands of requests stay quick. `sparse`: required members alone. */
export function fitting(schema: Schema, sparse = false, depth = 0): Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  const branches = schema.anyOf ?? schema.oneOf
  if (branches) return fc.oneof(...branches.map((each) => fitting(each, sparse, depth + 1)))
  const [type] = schema.type === undefined ? [] : [schema.type].flat()
  switch (type) {
    case 'string':
      return text(schema)
    case 'integer':
      return fc.integer({ min: Math.max(schema.minimum ?? 0, -1e9), max: Math.min(schema.maximum ?? 1000, 1e9) })
    case 'number':
      return fc.double({
        min: schema.minimum ?? schema.exclusiveMinimum ?? 0,
        max: schema.maximum ?? 1000,
        minExcluded: schema.exclusiveMinimum !== undefined,
        noNaN: true,
      })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.uniqueArray(fitting(schema.items ?? {}, sparse, depth + 1), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.max(schema.minItems ?? 0, Math.min(schema.maxItems ?? 2, depth > 4 ? 0 : 2)),
        selector: (item) => JSON.stringify(item) ?? '',
      })
    case 'object':
      return object(schema, sparse, depth)
    default:
      return fc.jsonValue({ maxDepth: 1 })
  }
}

function object(schema: Schema, sparse: boolean, depth: number): Arbitrary<unknown> {
  const members = Object.entries(schema.properties ?? {}).map(
    ([name, each]) => [name, fitting(each, sparse, depth + 1)] as const,
  )
  if (members.length > 0) {
    const wanted = sparse ? members.filter(([name]) => schema.required?.includes(name)) : members
    return fc.record(Object.fromEntries(wanted), { requiredKeys: [...(schema.required ?? [])] })
  }
  const [pattern, value] = Object.entries(schema.patternProperties ?? {})[0] ?? []
  const open = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined
  const keys = schema.propertyNames
    ? text(schema.propertyNames)
    : pattern
      ? matching(pattern)
      : fc.stringMatching(/^[a-z]{1,8}$/)
  return fc.dictionary(keys as Arbitrary<string>, fitting(value ?? open ?? {}, sparse, depth + 1), { maxKeys: 2 })
}

function text({ pattern, format, minLength = 0, maxLength }: Schema): Arbitrary<unknown> {
  const longest = Math.max(minLength, Math.min(maxLength ?? LONGEST, LONGEST))
  if (pattern !== undefined) return matching(pattern, minLength, maxLength ?? Infinity)
  if (format === 'date-time')
    return fc
      .date({ min: new Date('2000-01-01'), max: new Date('2099-01-01'), noInvalidDate: true })
      .map((each) => each.toISOString())
  if (format === 'email') return fc.constantFrom('someone@example.test', 'x+y@example.test')
  if (format === 'uri' || format === 'url') return fc.constantFrom('https://example.test/x', 'http://127.0.0.1:9/y')
  if (format === 'uuid') return fc.uuid()
  return fc.string({ minLength, maxLength: longest, unit: 'grapheme-ascii' })
}

/** A few texts that a pattern makes; where the generator cannot read it backwards, plain words that fit it. */
function matching(pattern: string, minLength = 0, maxLength = Infinity): Arbitrary<string> {
  const known = samples.get(pattern)
  const made = known ?? [...samplesOf(pattern), ...WORDS.filter((each) => new RegExp(pattern).test(each))]
  samples.set(pattern, made)
  const usable = made.filter((each) => each.length >= minLength && each.length <= maxLength)
  return usable.length > 0 ? fc.constantFrom(...usable) : fc.constant('a'.repeat(Math.max(1, minLength)))
}

const samples = new Map<string, readonly string[]>()
const WORDS = [
  'a',
  'abc',
  '1',
  '12',
  '1.0.0',
  'a-b',
  '/a',
  'a.b',
  '12h',
  'A',
  '10.0.0.1',
  'https://example.test/',
  '2030-01-01',
]

function samplesOf(pattern: string): string[] {
  try {
    return fc.sample(fc.stringMatching(new RegExp(pattern), { size: 'xsmall' }), { seed: 1, numRuns: 20 })
  } catch {
    return []
  }
}

/** Texts and values that break what is not careful. */
const HOSTILE: readonly unknown[] = [
  null,
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '%',
  "'; drop table tenants; --",
  '../../../etc/passwd',
  'a'.repeat(70_000),
  '𝒳'.repeat(200),
  '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:60Z',
  '00000000-0000-0000-0000-000000000000',
  -1,
  0,
  1.5,
  1e308,
  -1e308,
  2 ** 53,
  true,
  [],
  {},
  [[]],
  { $gt: '' },
  JSON.parse('{"__proto__":{"x":1},"constructor":1}'),
  Array.from({ length: 2000 }, (_, i) => i),
]

const hostile = fc.constantFrom(...HOSTILE)

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A fitting body with one thing wrong somewhere: a member replaced, taken away or added; or something that is no such body at all. */
export function broken(schema: Schema): Arbitrary<unknown> {
  const good = fitting(schema)
  const spoil = fc
    .tuple(good, hostile, fc.nat(), fc.constantFrom('replace', 'drop', 'add'))
    .map(([body, bad, at, how]) => {
      const copy: unknown = structuredClone(body)
      const places = placesOf(copy)
      const place = places[at % Math.max(1, places.length)]
      if (!place) return bad
      if (how === 'drop') delete place.holder[place.key]
      else if (how === 'add') place.holder['surplus'] = bad
      else place.holder[place.key] = bad
      return copy
    })
  return fc.oneof({ weight: 6, arbitrary: spoil }, { weight: 1, arbitrary: hostile })
}

function placesOf(value: unknown, depth = 0): { holder: Record<string, unknown>; key: string }[] {
  if (depth > 5) return []
  if (Array.isArray(value)) return value.flatMap((each) => placesOf(each, depth + 1))
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([key, each]) => [{ holder: value, key }, ...placesOf(each, depth + 1)])
}

/** Query strings of declared and of common parameters, right and wrong. */
export function queryOf(schema: Schema | undefined, isList: boolean): Arbitrary<Record<string, string | undefined>> {
  const declared = Object.entries(schema?.properties ?? {}).map(
    ([name, each]) => [name, asText(fitting(each))] as const,
  )
  const common: (readonly [string, Arbitrary<string>])[] = isList
    ? [
        ['page', fc.constantFrom('1', '2', '0', '-1', '1e9', 'x', '99999999999999999999')],
        ['pageSize', fc.constantFrom('1', '100', '0', '501', 'ten')],
        ['limit', fc.constantFrom('1', '100', '0', '-5', 'ten')],
        ['sort', fc.constantFrom('name', '-name', 'createdAt,-id', 'nothing', '-', ',', '__proto__', 'labels.x')],
        [
          'filter',
          fc.constantFrom('{}', '{"name":"x"}', '{"name":{"$like":"a*"}}', '{"id":"x"}', '[]', '{', '{"$or":[]}'),
        ],
        ['cursor', fc.constantFrom('x', 'x.y', 'W10.AAAAAAAAAAAAAAAAAAAAAA')],
      ]
    : []
  const wrong = asText(fc.constantFrom(...HOSTILE.filter((each) => JSON.stringify(each).length < 2000)))
  const arbitraries = Object.fromEntries(
    [...declared, ...common].map(([name, each]) => [
      name,
      fc.oneof({ weight: 3, arbitrary: each }, { weight: 1, arbitrary: wrong }),
    ]),
  )
  return fc.record(arbitraries, { requiredKeys: [] })
}

const asText = (arbitrary: Arbitrary<unknown>): Arbitrary<string> =>
  arbitrary.map((each) =>
    typeof each === 'string' ? each : Array.isArray(each) ? each.join(',') : JSON.stringify(each),
  )
