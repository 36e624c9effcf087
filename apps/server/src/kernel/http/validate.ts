import { Fault, type Violation } from '@wheelhouse/contract'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'
import type { TSchema } from 'typebox'

type Manner = 'body' | 'query' | 'reply'

const options = { allErrors: true, strict: false, useDefaults: true, removeAdditional: false, messages: true } as const

const engines: Record<Manner, Ajv> = {
  body: new Ajv({ ...options }),
  query: new Ajv({ ...options, coerceTypes: 'array' }),
  reply: new Ajv({ ...options, allErrors: false, useDefaults: false }),
}
/** RFC 3339, and a time that there is: `Date` knows no leap seconds, and no handler should have to ask. */
const DATE_TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/
const isDateTime = (text: string): boolean => DATE_TIME.test(text) && !Number.isNaN(Date.parse(text))

for (const engine of Object.values(engines)) {
  formats.default(engine)
  engine.addFormat('date-time', isDateTime)
}

const compiled = new WeakMap<object, Map<string, ValidateFunction>>()

/** Compiled at first use: hundreds of schemas would cost seconds at start. */
function validator(schema: TSchema, manner: Manner, strict: boolean): ValidateFunction {
  const key = `${manner}${strict}`
  let known = compiled.get(schema)
  if (!known) compiled.set(schema, (known = new Map()))
  let made = known.get(key)
  if (!made) known.set(key, (made = engines[manner].compile(strict ? closed(schema) : schema)))
  return made
}

/** The same schema, whose objects refuse members that they do not declare. Records and declared openness stay. */
function closed(schema: unknown): object {
  if (typeof schema !== 'object' || schema === null) return schema as object
  if (Array.isArray(schema)) return schema.map((each) => closed(each))
  const copy: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'properties' && typeof value === 'object' && value !== null) {
      copy[key] = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, closed(each)]))
    } else
      copy[key] = ['items', 'anyOf', 'oneOf', 'additionalProperties', 'patternProperties', 'not'].includes(key)
        ? closed(value)
        : value
  }
  const isObject = [copy['type']].flat().includes('object')
  const isPlainObject = isObject && copy['properties'] !== undefined
  if (isPlainObject && copy['additionalProperties'] === undefined && copy['patternProperties'] === undefined)
    copy['additionalProperties'] = false
  return copy
}

const CODES: Record<string, Violation['code']> = {
  required: 'required',
  type: 'type',
  format: 'format',
  minimum: 'min',
  exclusiveMinimum: 'min',
  minItems: 'min',
  minProperties: 'min',
  maximum: 'max',
  exclusiveMaximum: 'max',
  maxItems: 'max',
  maxProperties: 'max',
  minLength: 'minLength',
  maxLength: 'maxLength',
  pattern: 'pattern',
  enum: 'enum',
  const: 'enum',
  anyOf: 'type',
  additionalProperties: 'unknown',
  uniqueItems: 'duplicate',
}

/** A JSON pointer as release.md writes paths: `components[0].digest`. */
function pathOf(error: ErrorObject): string {
  const base = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (error.keyword === 'required') base.push(String(error.params['missingProperty']))
  if (error.keyword === 'additionalProperties') base.push(String(error.params['additionalProperty']))
  return base.reduce(
    (path, part) => (/^\d+$/.test(part) && path !== '' ? `${path}[${part}]` : path === '' ? part : `${path}.${part}`),
    '',
  )
}

function violationsOf(errors: readonly ErrorObject[]): Violation[] {
  const seen = new Map<string, Violation>()
  for (const error of errors) {
    // The branches of a union say less than the union itself.
    if (error.schemaPath.includes('/anyOf/')) continue
    const field = pathOf(error)
    const message =
      error.keyword === 'required'
        ? 'is required'
        : error.keyword === 'additionalProperties'
          ? 'is not known here'
          : enumMessage(error)
    if (!seen.has(field)) seen.set(field, { field, message, code: CODES[error.keyword] ?? 'type' })
  }
  return [...seen.values()].sort((a, b) => a.field.localeCompare(b.field))
}

const enumMessage = (error: ErrorObject): string => {
  const allowed: unknown = error.params['allowedValues']
  return Array.isArray(allowed)
    ? `must be one of ${allowed.slice(0, 20).join(', ')}`
    : (error.message ?? 'is not valid')
}

/** Checks one part of a request; defaults are filled in. Throws VAL_REQUIRED, VAL_UNKNOWN_FIELD or VAL_SCHEMA with every violation. */
export function validate(schema: TSchema, value: unknown, part: 'body' | 'query' | 'params', strict: boolean): unknown {
  const check = validator(schema, part === 'body' ? 'body' : 'query', strict)
  const target = part === 'body' ? value : { ...(value as object) }
  if (check(target)) return target
  const violations = violationsOf(check.errors ?? [])
  const codes = new Set(violations.map((each) => each.code))
  const code =
    codes.size === 1 && codes.has('required')
      ? 'VAL_REQUIRED'
      : codes.size === 1 && codes.has('unknown')
        ? 'VAL_UNKNOWN_FIELD'
        : 'VAL_SCHEMA'
  const [first] = violations
  throw new Fault(
    code,
    { in: part },
    {
      message: first ? `${first.field === '' ? part : first.field} ${first.message}` : `The ${part} is not valid`,
      violations,
    },
  )
}

/** Why a reply does not fit its declaration, or undefined when it does. */
export function replyMismatch(schema: TSchema, value: unknown): string | undefined {
  const check = validator(schema, 'reply', false)
  if (check(value)) return undefined
  const [error] = check.errors ?? []
  return error ? `${error.instancePath} ${error.message ?? ''} ${JSON.stringify(error.params)}` : 'unknown mismatch'
}

/** A copy without the members that are null, at any depth but within `verbatim` (jobs.md §1.6: in bodies null counts as absent). */
export function withoutNulls(value: unknown, verbatim: readonly string[] = []): unknown {
  if (Array.isArray(value)) return value.map((each) => withoutNulls(each))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]) =>
      each === null ? [] : [[key, verbatim.includes(key) ? each : withoutNulls(each)]],
    ),
  )
}
