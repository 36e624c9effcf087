/** What is wrong with an expression, or with what it was given. The message is for people. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError'
}

/** Bytes of a result, as JSON (release.md 18.2 has 64 KiB; results of jobs are inlined up to this size, jobs.md 21.5). */
export const MAX_RESULT_BYTES = 256 * 1024
const MAX_OPERATIONS = 10_000
const MAX_VALUE_DEPTH = 200

/** What one evaluation may still spend: it ends in bounded time whatever it is given. */
export class Budget {
  #left = MAX_OPERATIONS
  spend(operations = 1): void {
    this.#left -= operations
    if (this.#left < 0) throw new ExpressionError(`The expression takes more than ${MAX_OPERATIONS} operations`)
  }
  /** For work that grows with a text or a list. */
  spendOn(size: number): void {
    this.spend(1 + size / 512)
  }
}

const ENTRIES = Symbol('entries')
/** An object whose entries are made when they are asked for. */
export interface Lookup {
  readonly [ENTRIES]: true
  get(key: string): unknown
  all(): Record<string, unknown>
}
export const lookup = (get: (key: string) => unknown, all: () => Record<string, unknown>): Lookup => ({
  [ENTRIES]: true,
  get,
  all,
})
const isLookup = (value: unknown): value is Lookup => typeof value === 'object' && value !== null && ENTRIES in value

/** The value itself; of a lookup the object that it stands for; null for what is not there. */
export function plain(value: unknown): unknown {
  if (value === undefined) return null
  return isLookup(value) ? value.all() : value
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isLookup(value)

/** The entry of that name; undefined where there is none. What objects inherit is never seen. */
export function entry(value: unknown, key: string): unknown {
  if (isLookup(value)) return value.get(key)
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

/** Everything but null, false, '' and 0 (jobs.md 21.3). */
export const truthy = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== false && value !== '' && value !== 0

function textSize(text: string): number {
  if (!text.isWellFormed() || text.includes('\0'))
    throw new ExpressionError('A text holds half a character or a NUL, which cannot be stored')
  return text.length
}

/** Bytes of the value as JSON, at least; counting stops past `limit`. Throws where a value is nested too deeply to be walked safely, or cannot be stored. */
export function sizeOf(value: unknown, limit: number): number {
  let size = 0
  const open: { value: unknown; depth: number }[] = [{ value: plain(value), depth: 0 }]
  for (let next = open.pop(); next && size <= limit; next = open.pop()) {
    if (next.depth > MAX_VALUE_DEPTH) throw new ExpressionError('A value is nested too deeply')
    const depth = next.depth + 1
    if (typeof next.value === 'string') size += textSize(next.value) + 2
    else if (Array.isArray(next.value)) {
      size += 1 + next.value.length
      for (const each of next.value) open.push({ value: each, depth })
    } else if (isObject(next.value)) {
      for (const [key, each] of Object.entries(next.value)) {
        size += textSize(key) + 4
        open.push({ value: each, depth })
      }
      size += 2
    } else size += 5
  }
  return size
}

/** The size, which is at most `limit`; else an ExpressionError. */
export function checkSize(value: unknown, limit = MAX_RESULT_BYTES): number {
  const size = sizeOf(value, limit)
  if (size > limit) throw new ExpressionError(`A value is larger than ${Math.floor(limit / 1024)} KiB`)
  return size
}

/** As it appears in text: nothing for null, a string as it is, objects and arrays as JSON with their keys in order. */
export function print(value: unknown, budget?: Budget): string {
  const it = plain(value)
  if (it === null) return ''
  if (typeof it === 'string') return it
  if (typeof it !== 'object') return String(it)
  const size = checkSize(it)
  budget?.spendOn(size)
  return JSON.stringify(inOrder(it))
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((key) => [key, inOrder(value[key])]),
  )
}

const asFloat = (value: unknown): number => {
  if (typeof value === 'number') return value
  if (typeof value !== 'string' || !/^\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*$/.test(value)) return 0
  return Number(value)
}

/** `==`: as floats when the left is a number (what is none counts 0), strings as they are, others by their printed form (jobs.md 21.3). */
export function equal(left: unknown, right: unknown, budget: Budget): boolean {
  const [a, b] = [plain(left), plain(right)]
  if (typeof a === 'number') return a === asFloat(b)
  if (a === null || b === null) return a === b
  return print(a, budget) === print(b, budget)
}

/** Below, at or above 0; undefined for what has no order: then every comparison is false. */
export function order(left: unknown, right: unknown): number | undefined {
  if (typeof left === 'number') return left - asFloat(plain(right))
  if (typeof left === 'string' && typeof right === 'string') return left < right ? -1 : left > right ? 1 : 0
  return undefined
}
