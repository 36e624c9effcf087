import { type Endpoint, Fault } from '@wheelhouse/contract'
import { refuseAmbiguity } from './careful-json.ts'
import type { Bound, RequestFacts } from './context.ts'
import type { Dialect } from './dialect.ts'
import { readListQuery } from './list-query.ts'
import { validate, withoutNulls } from './validate.ts'

/** What the parts depend on beside themselves. */
interface Asked {
  bound: Bound
  dialect: Dialect
  facts: RequestFacts
}

/** The validated parts of a request; throws with every violation. */
export function readParts(
  cursorSecret: Buffer,
  asked: Asked,
  raw: { params: object; query: Record<string, unknown>; body: Buffer | undefined },
) {
  const { dialect } = asked
  const { endpoint } = asked.bound
  if (hasNul(raw.params))
    throw new Fault(dialect.surface === 'release' ? 'RES_NOT_FOUND' : 'VAL_SCHEMA', { in: 'path' })
  if (hasNul(raw.query)) refuseNul('query')
  const params = endpoint.params ? checkedParams(endpoint, raw.params, dialect) : raw.params
  const query = endpoint.query ? checkedQuery(endpoint, raw.query, dialect) : undefined
  const list = endpoint.list ? readListQuery(raw.query, endpoint.list, dialect, cursorSecret) : undefined
  const body = endpoint.bytes
    ? (raw.body ?? Buffer.alloc(0))
    : endpoint.body
      ? validate(endpoint.body, parseBody(raw.body, asked), 'body', dialect.strictBody)
      : undefined
  return { params, query, list, body }
}

export type Parts = ReturnType<typeof readParts>

/** A malformed id in a path is an object that does not exist (release.md §1); elsewhere it is a bad request. */
function checkedParams(endpoint: Endpoint, params: object, dialect: Dialect): unknown {
  if (!endpoint.params) return params
  try {
    return validate(endpoint.params, params, 'params', false)
  } catch (error) {
    if (dialect.surface === 'release') throw new Fault('RES_NOT_FOUND', {}, { cause: error })
    throw error
  }
}

function checkedQuery(endpoint: Endpoint, query: Record<string, unknown>, dialect: Dialect): unknown {
  if (!endpoint.query) return undefined
  const given = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ''))
  try {
    return validate(endpoint.query, given, 'query', false)
  } catch (error) {
    if (!dialect.lenientQuery || !(error instanceof Fault)) throw error
    // jobs.md §1.6: what does not parse falls back to its default.
    const bad = new Set(error.violations?.map(({ field }) => field.split(/[.[]/)[0]))
    return validate(
      endpoint.query,
      Object.fromEntries(Object.entries(given).filter(([name]) => !bad.has(name))),
      'query',
      false,
    )
  }
}

function parseBody(raw: Buffer | undefined, { dialect, bound, facts }: Asked): unknown {
  if (raw === undefined || raw.length === 0) return {}
  const type = facts.header('content-type') ?? ''
  if (bound.endpoint.form && type.startsWith('application/x-www-form-urlencoded'))
    return Object.fromEntries(new URLSearchParams(raw.toString('utf8')))
  if (isTooDeep(raw, dialect.carefulJson ? CAREFUL_DEPTH : MAX_DEPTH))
    throw new Fault('VAL_SCHEMA', { in: 'body' }, { message: 'The body is nested too deep' })
  let value: unknown
  try {
    value = JSON.parse(raw.toString('utf8'))
  } catch (error) {
    throw new Fault('VAL_INVALID_JSON', {}, { cause: error })
  }
  if (dialect.carefulJson) refuseAmbiguity(raw, value)
  // Cheap to look for before walking: JSON can only spell the character like this.
  if (raw.includes('\\u0000') && hasNul(value)) refuseNul('body')
  if ((raw.includes('\\ud') || raw.includes('\\uD')) && someText(value, (text) => !text.isWellFormed()))
    throw new Fault('VAL_SCHEMA', { in: 'body' }, { message: 'The body has half a character in it' })
  const { verbatim } = bound.endpoint
  return dialect.nullIsAbsent && verbatim?.[0] !== '*' && raw.includes('null') ? withoutNulls(value, verbatim) : value
}

const MAX_DEPTH = 200
/** platform.md §19.4. */
const CAREFUL_DEPTH = 64

/** Whether braces and brackets stand deeper than anything that walks the value (schemas, masks, PostgreSQL) should be asked to go. */
function isTooDeep(raw: Buffer, max: number): boolean {
  if (raw.length <= max) return false
  let depth = 0
  let inText = false
  for (let i = 0; i < raw.length; i++) {
    const byte = raw[i]
    if (byte === 0x22) inText = !inText
    else if (inText) i += byte === 0x5c ? 1 : 0
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > max) return true
    } else if (byte === 0x7d || byte === 0x5d) depth -= 1
  }
  return false
}

/** Whether some text in it has the one character that PostgreSQL cannot keep. */
const hasNul = (value: unknown): boolean => someText(value, (text) => text.includes('\0'))

function someText(value: unknown, is: (text: string) => boolean): boolean {
  if (typeof value === 'string') return is(value)
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([key, each]) => is(key) || someText(each, is))
}

function refuseNul(part: 'query' | 'body'): never {
  throw new Fault('VAL_SCHEMA', { in: part }, { message: `The ${part} has a NUL character in it` })
}
