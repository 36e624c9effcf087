/** Checks a value of unknown origin and returns it typed, without unknown members; throws `ShapeError` with the path of the first fault. */
export type Shape<T> = (value: unknown, path?: string) => T
export type Of<S> = S extends Shape<infer T> ? T : never

export class ShapeError extends Error {
  override readonly name = 'ShapeError'
}

const fail = (path: string | undefined, expected: string): never => {
  throw new ShapeError(`${path || 'value'} must be ${expected}`)
}

/** A string of at most `max` UTF-16 units and no NUL, which neither the kernel's interfaces nor Postgres can hold. */
export const text =
  (max: number, min = 0): Shape<string> =>
  (value, path) =>
    typeof value === 'string' && value.length >= min && value.length <= max && !value.includes('\0')
      ? value
      : fail(path, `a string of ${min} to ${max} characters`)

/** Base64 of at most `maxBytes` bytes; the alphabet is checked, so that decoding cannot drop characters quietly. */
export const base64 =
  (maxBytes: number): Shape<string> =>
  (value, path) =>
    typeof value === 'string' &&
    value.length <= Math.ceil(maxBytes / 3) * 4 &&
    value.length % 4 === 0 &&
    /^[A-Za-z0-9+/]*={0,2}$/.test(value)
      ? value
      : fail(path, `base64 of at most ${maxBytes} bytes`)

export const number: Shape<number> = (value, path) =>
  typeof value === 'number' && Number.isFinite(value) ? value : fail(path, 'a finite number')

export const integer =
  (min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER): Shape<number> =>
  (value, path) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
      ? (value as number)
      : fail(path, `an integer from ${min} to ${max}`)

/** A counter as other agents send it: unsigned, rounded to what a double can hold. */
export const counter: Shape<number> = (value, path) =>
  typeof value === 'number' && value >= 0 && Number.isFinite(value) ? Math.round(value) : fail(path, 'a counter')

export const flag: Shape<boolean> = (value, path) => (typeof value === 'boolean' ? value : fail(path, 'true or false'))

export const oneOf =
  <const T extends readonly string[]>(...allowed: T): Shape<T[number]> =>
  (value, path) =>
    allowed.includes(value as string) ? (value as T[number]) : fail(path, `one of ${allowed.join(', ')}`)

export const nullable =
  <T>(shape: Shape<T>): Shape<T | null> =>
  (value, path) =>
    value === null || value === undefined ? null : shape(value, path)

export const list =
  <T>(item: Shape<T>, max: number): Shape<T[]> =>
  (value, path = 'value') =>
    Array.isArray(value) && value.length <= max
      ? value.map((each, index) => item(each, `${path}[${index}]`))
      : fail(path, `a list of at most ${max}`)

export const dictionary =
  <T>(item: Shape<T>, max: number): Shape<Record<string, T>> =>
  (value, path = 'value') => {
    if (!isObject(value) || Object.keys(value).length > max) return fail(path, `an object of at most ${max} members`)
    const checked = Object.entries(value).map(([key, each]) => [key, item(each, `${path}.${key}`)] as const)
    return Object.fromEntries(checked)
  }

type Members = Record<string, Shape<unknown>>
type Object_<R extends Members, O extends Members> = { [K in keyof R]: Of<R[K]> } & { [K in keyof O]?: Of<O[K]> }

/** An object with required and optional members. `null` counts as absent for optional ones; unknown members are left out. */
export const object =
  <R extends Members, O extends Members = Record<never, never>>(required: R, optional?: O): Shape<Object_<R, O>> =>
  (value, path = '') => {
    if (!isObject(value)) return fail(path, 'an object')
    const at = (key: string) => (path ? `${path}.${key}` : key)
    const checked: Record<string, unknown> = {}
    for (const [key, shape] of Object.entries(required)) checked[key] = shape(value[key], at(key))
    for (const [key, shape] of Object.entries(optional ?? {})) {
      if (value[key] !== undefined && value[key] !== null) checked[key] = shape(value[key], at(key))
    }
    return checked as Object_<R, O>
  }

/** Any JSON object, unchecked within. */
export const anyObject: Shape<Record<string, unknown>> = (value, path) =>
  isObject(value) ? value : fail(path, 'an object')

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
