import {
  checkSize,
  entry,
  equal,
  ExpressionError,
  isObject,
  MAX_RESULT_BYTES,
  plain,
  print,
  truthy,
} from './expression-values.ts'
import type { Budget } from './expression-values.ts'

export interface CallContext {
  readonly budget: Budget
  /** RFC 3339. */
  readonly now: string
}

interface Call {
  readonly arity: readonly [least: number, most: number]
  readonly apply: (args: readonly unknown[], context: CallContext) => unknown
}

const one = (apply: Call['apply']): Call => ({ arity: [1, 1], apply })
const two = (apply: Call['apply']): Call => ({ arity: [2, 2], apply })
const some = (apply: Call['apply']): Call => ({ arity: [1, Infinity], apply })

function text(value: unknown, of: string): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new ExpressionError(`${of}() takes text, not ${kindOf(value)}`)
}

function array(value: unknown, of: string): readonly unknown[] {
  if (value === null || value === undefined) return []
  if (Array.isArray(value)) return value
  throw new ExpressionError(`${of}() takes a list, not ${kindOf(value)}`)
}

function numeric(value: unknown, of: string): number {
  if (typeof value === 'boolean') return value ? 1 : 0
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number === 'number' && Number.isFinite(number)) return number
  throw new ExpressionError(
    `${of}() takes a number, not ${typeof value === 'string' ? `'${value.slice(0, 40)}'` : kindOf(value)}`,
  )
}

/** What a value is, in words. */
export function kindOf(value: unknown): string {
  const it = plain(value)
  if (it === null) return 'null'
  if (Array.isArray(it)) return 'a list'
  return typeof it === 'object' ? 'an object' : typeof it === 'string' ? 'text' : `a ${typeof it}`
}

/** The values of `min(a, b, …)` or of `min(list)`. */
function numbers(args: readonly unknown[], of: string, budget: Budget): number[] {
  const values = args.length === 1 && Array.isArray(args[0]) ? args[0] : args
  budget.spendOn(values.length)
  return values.map((each) => numeric(each, of))
}

const FUNCTIONS: Readonly<Record<string, Call>> = {
  /** Elements, entries, or bytes of a text; 0 of anything else (jobs.md 21.3). */
  length: one(([value]) => {
    const it = plain(value)
    if (typeof it === 'string') return Buffer.byteLength(it)
    if (Array.isArray(it)) return it.length
    return isObject(it) ? Object.keys(it).length : 0
  }),
  first: one(([value]) => (Array.isArray(value) ? (value[0] ?? null) : null)),
  last: one(([value]) => (Array.isArray(value) ? (value.at(-1) ?? null) : null)),
  contains: two(([value, wanted], { budget }) => holds(value, wanted, budget)),
  startsWith: two(([value, start]) => text(value, 'startsWith').startsWith(text(start, 'startsWith'))),
  endsWith: two(([value, end]) => text(value, 'endsWith').endsWith(text(end, 'endsWith'))),
  lower: one(([value]) => text(value, 'lower').toLowerCase()),
  upper: one(([value]) => text(value, 'upper').toUpperCase()),
  trim: one(([value]) => text(value, 'trim').trim()),
  split: two(([value, separator], { budget }) => {
    const whole = text(value, 'split')
    budget.spendOn(whole.length)
    return whole.split(text(separator, 'split'))
  }),
  join: { arity: [1, 2], apply: ([value, separator], { budget }) => join(value, separator, budget) },
  keys: one(([value], { budget }) => {
    const names = Object.keys(objectOf(value, 'keys'))
    budget.spendOn(names.length)
    return names
  }),
  values: one(([value], { budget }) => {
    const all = Object.values(objectOf(value, 'values'))
    budget.spendOn(all.length)
    return all
  }),
  min: some((args, { budget }) => least(numbers(args, 'min', budget), (a, b) => (a < b ? a : b))),
  max: some((args, { budget }) => least(numbers(args, 'max', budget), (a, b) => (a > b ? a : b))),
  sum: some((args, { budget }) => finite(numbers(args, 'sum', budget).reduce((total, each) => total + each, 0))),
  /** The first, unless it is null or ''. */
  default: two(([value, otherwise]) => (value === null || value === undefined || value === '' ? otherwise : value)),
  coalesce: some((args) => args.find((each) => each !== null && each !== undefined) ?? null),
  int: one(([value]) => Math.trunc(numeric(value, 'int'))),
  number: one(([value]) => numeric(value, 'number')),
  string: one(([value], { budget }) => print(value, budget)),
  bool: one(([value]) =>
    typeof value === 'string' ? !['', '0', 'false', 'no'].includes(value.toLowerCase()) : truthy(value),
  ),
  json: one(([value], { budget }) => {
    const it = plain(value)
    checkSize(it)
    const json = JSON.stringify(it)
    budget.spendOn(json.length)
    return json
  }),
  parseJson: one(([value], { budget }) => {
    const json = text(value, 'parseJson')
    budget.spendOn(json.length)
    try {
      const parsed: unknown = JSON.parse(json)
      checkSize(parsed)
      return parsed
    } catch (cause) {
      if (cause instanceof ExpressionError) throw cause
      throw new ExpressionError('parseJson() was given text that is no JSON')
    }
  }),
  now: { arity: [0, 0], apply: (_, { now }) => now },
  /** `*`: any text, `?`: any one character. */
  matches: two(([value, pattern], { budget }) => globMatches(text(value, 'matches'), text(pattern, 'matches'), budget)),
}

/** How many values each function takes. */
export const ARITIES: ReadonlyMap<string, readonly [least: number, most: number]> = new Map(
  Object.entries(FUNCTIONS).map(([name, { arity }]) => [name, arity]),
)

/** The function's value. Throws an ExpressionError where a value is of the wrong kind. */
export function call(name: string, args: readonly unknown[], context: CallContext): unknown {
  const known = FUNCTIONS[name]
  if (!known) throw new ExpressionError(`there is no function '${name}'`)
  return known.apply(args, context)
}

/** Whether a list has the element, a text the part, an object the key. */
export function holds(value: unknown, wanted: unknown, budget: Budget): boolean {
  if (Array.isArray(value)) {
    budget.spendOn(value.length)
    const it = plain(wanted)
    if (typeof it !== 'object' || it === null) return value.some((each) => equal(it, each, budget))
    const printed = print(it, budget)
    return value.some((each) => print(each, budget) === printed)
  }
  if (typeof value === 'string') {
    budget.spendOn(value.length)
    return value.includes(text(wanted, 'contains'))
  }
  return entry(value, print(wanted, budget)) !== undefined
}

function join(value: unknown, separator: unknown, budget: Budget): string {
  const items = array(value, 'join')
  budget.spendOn(items.length)
  const between = separator === undefined ? ',' : text(separator, 'join')
  if (between.length * items.length > MAX_RESULT_BYTES) throw new ExpressionError('join() would make too large a text')
  return items.map((each) => print(each, budget)).join(between)
}

function objectOf(value: unknown, of: string): Record<string, unknown> {
  const it = plain(value)
  if (it === null) return {}
  if (isObject(it)) return it
  throw new ExpressionError(`${of}() takes an object, not ${kindOf(it)}`)
}

const least = (all: readonly number[], better: (a: number, b: number) => number): number | null =>
  all.length ? all.reduce(better) : null

/** Numbers of an expression are finite. */
export function finite(number: number): number {
  if (Number.isFinite(number)) return number
  throw new ExpressionError('The result is no finite number')
}

/** In time of text × pattern at most, which the budget bounds; no backtracking beyond the last `*`. */
function globMatches(value: string, pattern: string, budget: Budget): boolean {
  let [at, in_, star, mark] = [0, 0, -1, 0]
  for (let steps = 1; at < value.length; steps++) {
    if (steps % 512 === 0) budget.spend()
    if (pattern[in_] === '*') {
      star = in_++
      mark = at
    } else if (in_ < pattern.length && (pattern[in_] === '?' || pattern[in_] === value[at])) {
      at++
      in_++
    } else if (star >= 0) {
      in_ = star + 1
      at = ++mark
    } else return false
  }
  while (pattern[in_] === '*') in_++
  return in_ === pattern.length
}
