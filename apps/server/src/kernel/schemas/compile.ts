import { Fault } from '@wheelhouse/contract'
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { LRUCache } from 'lru-cache'
import { contentHash } from '../policy/index.ts'
import { bounded, Unbounded } from './bounded.ts'

/** Where a value does not fit, as a JSON pointer into it ('' is the value itself), and why. */
export interface SchemaProblem {
  path: string
  message: string
}

/** A JSON Schema that was compiled. Pure: it never changes the value. */
export interface CompiledSchema {
  /** Nothing when the value fits; at most twenty problems otherwise. */
  problems(value: unknown): SchemaProblem[]
}

/** Of the schema as JSON. Schemas that are larger take seconds to compile. */
const MAX_BYTES = 256 * 1024
const COMPILE_MS = 2_000
const VALIDATE_MS = 250
/** Checks that take longer count against what one schema may take of all time: thousands of items may be held against it. */
const SLOW_MS = 25
const WINDOW_MS = 10_000
const SLOW_IN_WINDOW_MS = 2_000
/** Of the schema as JSON: up to here one without patterns and references is quick by its size alone. */
const PLAIN_BYTES = 16 * 1024
const MAX_PROBLEMS = 20

const options: Options = {
  allErrors: true,
  strict: false,
  logger: false,
  // Of each schema an instance of its own: `$id`s of one tenant are nothing to another, and nothing is kept beyond the cache.
  meta: false,
  validateSchema: false,
}

type Draft = '2020-12' | '2019-09' | '07'
const DRAFTS: readonly { draft: Draft; pattern: RegExp }[] = [
  { draft: '2020-12', pattern: /^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/ },
  { draft: '2019-09', pattern: /^https?:\/\/json-schema\.org\/draft\/2019-09\/schema#?$/ },
  // What draft 6 knows, draft 7 reads alike.
  { draft: '07', pattern: /^https?:\/\/json-schema\.org\/draft-0[67]\/schema#?$/ },
]
const ENGINES = { '2020-12': Ajv2020, '2019-09': Ajv2019, '07': Ajv } as const

const metaschemas = new Map<Draft, ValidateFunction>()

/** What says whether a document is a schema of its draft; compiled once. */
function metaschema(draft: Draft): ValidateFunction {
  let known = metaschemas.get(draft)
  if (!known) {
    const engine = new ENGINES[draft]({ ...options, meta: true, validateSchema: true })
    formats.default(engine)
    const id =
      draft === '07' ? 'http://json-schema.org/draft-07/schema' : `https://json-schema.org/draft/${draft}/schema`
    known = engine.getSchema(id)
    if (!known) throw new Error(`The metaschema of draft ${draft} is missing`)
    metaschemas.set(draft, known)
  }
  return known
}

function refuse(message: string, cause?: unknown): never {
  throw new Fault('VAL_SCHEMA', {}, { message: `schema does not compile: ${message}`, cause })
}

/** Without `$schema` the newest draft counts, as in the reference. */
function draftOf(schema: object): Draft {
  const named = '$schema' in schema ? schema.$schema : undefined
  if (named === undefined) return '2020-12'
  const known = typeof named === 'string' ? DRAFTS.find(({ pattern }) => pattern.test(named)) : undefined
  return known?.draft ?? refuse('$schema must name draft-06, draft-07, 2019-09 or 2020-12 of json-schema.org')
}

function problemsOf(errors: readonly ErrorObject[] | null | undefined): SchemaProblem[] {
  return (errors ?? []).slice(0, MAX_PROBLEMS).map(({ instancePath, keyword, message = 'is not valid', params }) => ({
    path: instancePath,
    message:
      keyword === 'additionalProperties'
        ? `must not have the member "${String(params['additionalProperty'])}"`
        : keyword === 'enum' && Array.isArray(params['allowedValues'])
          ? `must be one of ${params['allowedValues'].slice(0, 20).map(String).join(', ')}`
          : message,
  }))
}

/** In one line: `/count must be integer; /name is required`. */
export const describeProblems = (problems: readonly SchemaProblem[]): string =>
  problems.map(({ path, message }) => (path === '' ? message : `${path} ${message}`)).join('; ')

const compiled = new LRUCache<string, CompiledSchema>({ max: 500 })
const byIdentity = new WeakMap<object, CompiledSchema>()

/**
 * Compiles a JSON Schema (draft 2020-12 unless `$schema` says 2019-09, 7 or 6). References resolve inside the document alone
 * (jobs.md §23). Throws VAL_SCHEMA that says what is wrong, or that it took more than `mostMs`. The most recent 500 are remembered by content.
 */
export function compileSchema(schema: unknown, mostMs = COMPILE_MS): CompiledSchema {
  if (schema === true) return { problems: () => [] }
  if (schema === false) return { problems: () => [{ path: '', message: 'is not allowed' }] }
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return refuse('it must be an object')
  const seen = byIdentity.get(schema)
  if (seen) return seen
  const text = JSON.stringify(schema)
  if (text.length > MAX_BYTES) return refuse(`it must be at most ${MAX_BYTES / 1024} KiB`)
  const key = contentHash(schema)
  const known = compiled.get(key) ?? compile(schema, text, mostMs)
  compiled.set(key, known)
  byIdentity.set(schema, known)
  return known
}

/** The same as a value: a schema, or what keeps it from being one. */
export function compiledOr(schema: unknown, mostMs?: number): CompiledSchema | string {
  try {
    return compileSchema(schema, mostMs)
  } catch (error) {
    if (error instanceof Fault) return error.message
    throw error
  }
}

/** A schema of our own: without limits, since a machine that is busy at the start must not make it fail. */
export function compileOwn(schema: object): CompiledSchema {
  const engine = new ENGINES['2020-12'](options)
  formats.default(engine)
  const check = engine.compile(schema)
  return { problems: (value) => (check(value) ? [] : problemsOf(check.errors)) }
}

function compile(schema: object, text: string, mostMs: number): CompiledSchema {
  const draft = draftOf(schema)
  // Ours, and made once: its time is not the tenant's.
  const meta = metaschema(draft)
  const check = within(Math.ceil(Math.min(mostMs, COMPILE_MS)), () => {
    if (!meta(schema)) refuse(describeProblems(problemsOf(meta.errors)))
    const engine = new ENGINES[draft](options)
    formats.default(engine)
    // A copy: the engine marks what it reads, and the schema may be frozen.
    return engine.compile(JSON.parse(text) as object)
  })
  const isPlain =
    text.length <= PLAIN_BYTES &&
    !/"(?:\$ref|\$dynamicRef|\$recursiveRef|pattern|patternProperties|uniqueItems|format)"\s*:/.test(text)
  let since = -WINDOW_MS
  let spent = 0
  return {
    problems(value) {
      const began = performance.now()
      if (began - since > WINDOW_MS) [since, spent] = [began, 0]
      if (spent > SLOW_IN_WINDOW_MS)
        return [
          {
            path: '',
            message: `could not be checked: the schema took ${Math.round(spent)} ms within ${WINDOW_MS / 1000} s already; make it simpler`,
          },
        ]
      try {
        const fits = isPlain ? check(value) : bounded(VALIDATE_MS, () => check(value))
        return fits === true ? [] : problemsOf(check.errors)
      } catch (error) {
        if (!(error instanceof Unbounded) && !(error instanceof RangeError)) throw error
        return [{ path: '', message: `could not be checked within ${VALIDATE_MS} ms; make the schema simpler` }]
      } finally {
        const took = performance.now() - began
        if (took > SLOW_MS) spent += took
      }
    },
  }
}

function within<T>(ms: number, work: () => T): T {
  try {
    return bounded(ms, work)
  } catch (error) {
    if (error instanceof Fault) throw error
    if (error instanceof Unbounded) return refuse(`it took more than ${ms} ms; make it simpler`, error)
    return refuse(error instanceof Error ? error.message : 'it is not valid', error)
  }
}
