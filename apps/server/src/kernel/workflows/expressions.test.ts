import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { evaluate, ExpressionError } from './expressions.ts'
import type { Scope } from './expressions.ts'
import { parseExpression } from './expression-parser.ts'

const RUNS = Number(process.env['MODEL_RUNS'] ?? 300)

const VALUES: Record<string, unknown> = {
  input: {
    n: 5,
    zero: 0,
    text: 'hello',
    empty: '',
    yes: true,
    no: false,
    list: [3, 1, 2],
    names: ['a', 'b'],
    object: { b: 1, a: [true] },
    'two-words': 'hyphen',
    '1': 'one',
    nothing: null,
    numeral: '7.5',
    rows: [{ id: 'x', tags: ['t'] }],
  },
  ctx: { deep: { er: 'down' } },
  steps: {
    build: { output: { url: 'u', 'a.b': 1 } },
    fan: { output: ['zero', 'one'] },
    'fan[1]': { output: 'the key itself' },
  },
  item: 'it',
}
const scope: Scope = {
  now: Date.UTC(2026, 0, 2, 3, 4, 5),
  get: (name) => (Object.hasOwn(VALUES, name) ? VALUES[name] : undefined),
}
const value = (text: string): unknown => evaluate(text, scope)

describe('expressions give what the document says', () => {
  test.each<[string, unknown]>([
    // Paths and literals.
    ['input.n', 5],
    ['  input.text  ', 'hello'],
    ['input.two-words', 'hyphen'],
    ['input.1', 'one'],
    ['input.absent', null],
    ['input.absent.more', null],
    ['absent', null],
    ['', null],
    ['ctx.deep.er', 'down'],
    ['item', 'it'],
    ["'text'", 'text'],
    ['"it\'s"', "it's"],
    ['true', true],
    ['false', false],
    ['null', null],
    ['2.5', 2.5],
    ['-3', -3],
    ['+3', 3],
    ['1e3', 1000],
    ['.5', 0.5],
    // A key with brackets first, then an index.
    ['steps.fan[1].output', 'the key itself'],
    ['steps.fan[0].output', null],
    ['steps.fan.output[0]', 'zero'],
    ['steps.fan.output[-1]', 'one'],
    ['input.list[7]', null],
    ["input['two-words']", 'hyphen'],
    ["steps.build.output['a.b']", 1],
    ['input.rows[0].tags[0]', 't'],
    ['input.list[input.zero]', 3],
    ['first(input.rows).id', 'x'],
    // Truth and negation.
    ['!input.n', false],
    ['!input.zero', true],
    ['!input.empty', true],
    ['!input.absent', true],
    ['!!input.list', true],
    ['!input.n == 6', true],
    ['!input.n == 5', false],
    // Comparisons.
    ['input.n == 5', true],
    ["input.n == '5'", true],
    ["input.n > '4.5'", true],
    ["5 == 'five'", false],
    ["0 == 'five'", true],
    ['0 == input.absent', true],
    ['input.absent == 0', false],
    ['input.absent == input.nothing', true],
    ["input.absent == ''", false],
    ["input.text == 'hello'", true],
    ["'a' < 'b'", true],
    ["'10' < '9'", true],
    ["'7' == 7", true],
    ["'7' < 8", false],
    ['true == true', true],
    ["true == 'true'", true],
    ['true < false', false],
    ['input.object != input.list', true],
    ['input.n >= 5', true],
    ['input.n <= 4', false],
    ['length(input.list) > 2', true],
    // `==` is split first, wherever it stands, then `!=`, …
    ['1 < 2 == true', true],
    ['1 == 2 < 3', false],
    ['true == 1 < 2', true],
    ['2 > 1 > 0', true],
    ['3 != 3 == false', true],
    // What is ours.
    ['input.n == 5 && input.text == "hello"', true],
    ['input.n == 4 || input.yes', true],
    ['!input.n && true', false],
    ['false && absent.thing[1] / 0', false],
    ['(1 + 2) * 3', 9],
    ['1 + 2 * 3', 7],
    ['7 % 4', 3],
    ['10 / 4', 2.5],
    ['1 - 2 - 3', -4],
    ['-input.n', -5],
    ["'n=' + input.n", 'n=5'],
    ["'b' in input.names", true],
    ["'z' in input.names", false],
    ["'ell' in input.text", true],
    ["'a' in input.object", true],
    ['5 in [1, 5]', true],
    ["input.yes ? 'y' : 'n'", 'y'],
    ["input.no ? 'y' : input.no ? 'x' : 'n'", 'n'],
    ['[1, input.n]', [1, 5]],
    // Functions.
    ['length(input.text)', 5],
    ["length('é')", 2],
    ['length(input.list)', 3],
    ['length(input.object)', 2],
    ['length(input.n)', 0],
    ['first(input.list)', 3],
    ['first(input.text)', null],
    ['last(input.list)', 2],
    ["contains(input.names, 'a')", true],
    ["contains(input.text, 'xyz')", false],
    ["startsWith(input.text, 'he')", true],
    ["endsWith(input.text, 'he')", false],
    ["upper('aé')", 'AÉ'],
    ["lower('AÉ')", 'aé'],
    ["trim('  a ')", 'a'],
    ["split('a,b', ',')", ['a', 'b']],
    ["join(input.names, '-')", 'a-b'],
    ['join(input.names)', 'a,b'],
    ['keys(input.object)', ['b', 'a']],
    ['values(input.object)', [1, [true]]],
    ['min(input.list)', 1],
    ['max(1, 9, 3)', 9],
    ['sum(input.list)', 6],
    ['sum([])', 0],
    ["default(input.empty, 'd')", 'd'],
    ["default(input.zero, 'd')", 0],
    ["coalesce(input.absent, input.nothing, 'c')", 'c'],
    ["int('12.9')", 12],
    ['number(input.numeral)', 7.5],
    ['string(input.object)', '{"a":[true],"b":1}'],
    ["bool('False')", false],
    ["bool('x')", true],
    ['json(input.names)', '["a","b"]'],
    ['parseJson(\'{"a":[1]}\').a[0]', 1],
    ['now()', '2026-01-02T03:04:05.000Z'],
    ["matches(input.text, 'h*o')", true],
    ["matches(input.text, 'h?o')", false],
    ["matches('a.b', 'a?b')", true],
  ])('%s', (text, expected) => {
    expect(value(text)).toEqual(expected)
  })
})

describe('expressions are refused in words', () => {
  test.each([
    ['1 +', 'ends where a value should stand'],
    ['a b', "unexpected 'b'"],
    ['a..b', "a name is missing after '.'"],
    ['(1', "')' is missing"],
    ["'open", 'a closing'],
    ['what(1)', "there is no function 'what'"],
    ['constructor(1)', "there is no function 'constructor'"],
    ['length()', 'length() takes 1 value'],
    ['a ? b', "':' is missing"],
    ['a[1', "']' is missing"],
    [`${'('.repeat(100)}1${')'.repeat(100)}`, 'nested too deeply'],
    ['x'.repeat(9000), 'at most 8192 characters'],
    ['1 / 0', 'no finite number'],
    ["'a' - 1", "'-' takes numbers, not text"],
    ["number('abc')", "number() takes a number, not 'abc'"],
    ['upper(input.list)', 'upper() takes text, not a list'],
    ["parseJson('{')", 'no JSON'],
    ['keys(1)', 'keys() takes an object'],
  ])('%s', (text, message) => {
    expect(() => value(text)).toThrow(ExpressionError)
    expect(() => value(text)).toThrow(message)
  })
})

test('what objects inherit is never seen', () => {
  for (const text of [
    'input.constructor',
    'input.__proto__',
    "input['toString']",
    'input.list.length',
    'input.text.length',
  ]) {
    expect(value(text)).toBeNull()
  }
  expect(value("'toString' in input")).toBe(false)
})

test('work and results are bounded', () => {
  const big = { ...scope, get: (name: string) => (name === 'big' ? 'x'.repeat(200_000) : VALUES[name]) }
  expect(() => evaluate('big + big', big)).toThrow('larger than 256 KiB')
  expect(() => evaluate(`matches(big, '*${'x'.repeat(4000)}y')`, big)).toThrow('more than 10000 operations')
  expect(() => evaluate(`[${'split(big, ""), '.repeat(40)}1]`, big)).toThrow('more than 10000 operations')
  const many = { now: 0, get: () => Array.from({ length: 200_000 }, () => 'item') }
  expect(() => evaluate('many', many)).toThrow('larger than 256 KiB')
  expect(evaluate('length(many)', many)).toBe(200_000)
})

test('no text makes the parser do anything but give an expression or an ExpressionError', () => {
  const pieces = fc.constantFrom(
    ...'input .n steps [0] [ ] ( ) ! == != < >= && || + - * / %'.split(' '),
    ...`in ? : , ' " 'a' 1 .5 1e9 length( join( true null $ { } é`.split(' '),
    ' ',
    '\n',
  )
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(pieces, { maxLength: 60 }).map((all) => all.join('')),
  )
  fc.assert(
    fc.property(texts, (text) => {
      try {
        evaluate(text, scope)
        parseExpression(text)
      } catch (error) {
        if (!(error instanceof ExpressionError)) throw error
      }
    }),
    { numRuns: RUNS * 2 },
  )
})

// A second reading of jobs.md 21.3, as the reference does it: one split at the first operator found, no precedence.
function reference(whole: string): unknown {
  const text = whole.trim()
  if (text.startsWith('!') && !text.startsWith('!=')) return !truth(reference(text.slice(1)))
  for (const operator of ['==', '!=', '>=', '<=', '>', '<']) {
    const at = text.indexOf(operator)
    if (at >= 0) return compare(operator, reference(text.slice(0, at)), reference(text.slice(at + operator.length)))
  }
  const called = /^(length|first)\((.*)\)$/.exec(text)
  if (called) {
    const of = reference(called[2] as string)
    if (called[1] === 'first') return Array.isArray(of) ? (of[0] ?? null) : null
    if (typeof of === 'string') return Buffer.byteLength(of)
    return typeof of === 'object' && of !== null ? Object.keys(of).length : 0
  }
  if (/^'.*'$|^".*"$/.test(text)) return text.slice(1, -1)
  if (text === 'true' || text === 'false') return text === 'true'
  if (text !== '' && !Number.isNaN(Number(text))) return Number(text)
  let at: unknown = VALUES
  for (const key of text.split('.')) {
    at =
      typeof at === 'object' && at !== null && Object.hasOwn(at, key) ? (at as Record<string, unknown>)[key] : undefined
  }
  return at ?? null
}
const truth = (of: unknown): boolean => of !== null && of !== false && of !== '' && of !== 0
function compare(operator: string, left: unknown, right: unknown): boolean {
  const known = { '==': (o: number) => o === 0, '!=': (o: number) => o !== 0, '>=': (o: number) => o >= 0 } as const
  const more = { '<=': (o: number) => o <= 0, '>': (o: number) => o > 0, '<': (o: number) => o < 0 } as const
  const holds = { ...known, ...more }[operator] as (order: number) => boolean
  if (typeof left === 'number') {
    const other = typeof right === 'number' ? right : typeof right === 'string' && right !== '' ? Number(right) || 0 : 0
    return holds(left - other)
  }
  if (typeof left === 'string' && typeof right === 'string') return holds(left < right ? -1 : left > right ? 1 : 0)
  if (operator !== '==' && operator !== '!=') return false
  const same = left === null || right === null ? left === right : String(left) === String(right)
  return same === (operator === '==')
}

test('whatever the reference language can say means the same here', () => {
  const operand = fc.oneof(
    fc.constantFrom(
      'input.n',
      'input.zero',
      'input.text',
      'input.empty',
      'input.absent',
      'input.yes',
      'input.two-words',
    ),
    fc.constantFrom("'hello'", '"5"', "''", '5', '0', '-1', '2.5', 'true', 'false', 'steps.fan[1].output'),
    fc.constantFrom('length(input.list)', 'length(input.text)', 'first(input.names)', 'first(input.n)'),
  )
  const negated = fc.tuple(fc.integer({ min: 0, max: 2 }), operand).map(([times, text]) => '!'.repeat(times) + text)
  const operator = fc.constantFrom('==', '!=', '>=', '<=', '>', '<')
  const texts = fc
    .tuple(negated, fc.array(fc.tuple(operator, negated, fc.constantFrom('', ' ')), { maxLength: 3 }))
    .map(([first, rest]) => rest.reduce((text, [sign, next, space]) => `${text}${space}${sign}${space}${next}`, first))
  fc.assert(
    fc.property(texts, (text) => {
      expect(value(text), text).toEqual(reference(text))
    }),
    { numRuns: RUNS * 5 },
  )
})
