import { Fault, type ListField } from '@wheelhouse/contract'
import { sql } from 'kysely'
import type { Statement } from './tx.ts'

/** Limits of release.md §2: bytes decoded, nesting, number of conditions. */
const MAX_BYTES = 4096
const MAX_DEPTH = 5
const MAX_CONDITIONS = 50

type Scalar = string | number | boolean | null
type Operator = '$eq' | '$ne' | '$gt' | '$gte' | '$lt' | '$lte' | '$in' | '$nin' | '$like' | '$exists' | '$contains'

export type FilterNode =
  | { kind: 'and' | 'or'; nodes: FilterNode[] }
  | { kind: 'not'; node: FilterNode }
  | { kind: 'test'; field: string; key?: string; operator: Operator; operand: Scalar | Scalar[] }

type Fields = Readonly<Record<string, ListField>>

const refuse = (path: string, reason: string, position?: number): never => {
  throw new Fault(
    'VAL_INVALID_FILTER',
    { path, reason, ...(position === undefined ? {} : { position }) },
    {
      message: `The filter is not valid at ${path === '' ? 'its root' : path}: ${reason}`,
    },
  )
}

const isScalar = (value: unknown): value is Scalar =>
  value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Reads a JSON filter expression (release.md §2). Only declared filterable fields are known; operands must fit the field's type. */
export function parseFilter(text: string, fields: Fields): FilterNode {
  if (Buffer.byteLength(text) > MAX_BYTES) refuse('', 'too_long')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    refuse('', 'not_json')
  }
  let conditions = 0

  function object(value: unknown, path: string, depth: number): FilterNode {
    if (depth > MAX_DEPTH) refuse(path, 'too_deep')
    if (!isObject(value)) return refuse(path, 'not_an_object')
    const nodes = Object.entries(value).map(([key, operand]) =>
      member(key, operand, path === '' ? key : `${path}.${key}`, depth),
    )
    return { kind: 'and', nodes }
  }

  function member(key: string, operand: unknown, path: string, depth: number): FilterNode {
    if (key === '$and' || key === '$or') {
      if (!Array.isArray(operand) || operand.length === 0 || operand.length > 20)
        return refuse(path, 'needs_1_to_20_filters')
      return {
        kind: key === '$and' ? 'and' : 'or',
        nodes: operand.map((each, i) => object(each, `${path}[${i}]`, depth + 1)),
      }
    }
    if (key === '$not') return { kind: 'not', node: object(operand, path, depth + 1) }
    if (key.startsWith('$')) return refuse(path, 'unknown_operator')
    return field(key, operand, path)
  }

  function field(name: string, operand: unknown, path: string): FilterNode {
    const target = fieldOf(name, fields)
    if (!target?.spec.filter || name.includes('\0')) return refuse(path, 'unknown_field')
    const { spec, ...place } = target
    const check = (op: Operator, value: unknown): FilterNode => {
      conditions += 1
      if (conditions > MAX_CONDITIONS) refuse(path, 'too_many_conditions')
      return { kind: 'test', ...place, operator: op, operand: fit(op, value, spec, path) }
    }
    if (isScalar(operand)) return operand === null ? check('$exists', false) : check('$eq', operand)
    if (Array.isArray(operand)) return check('$in', operand)
    if (!isObject(operand)) return refuse(path, 'bad_operand')
    const entries = Object.entries(operand)
    if (entries.length === 0) return refuse(path, 'empty')
    return { kind: 'and', nodes: entries.map(([op, value]) => check(op as Operator, value)) }
  }

  return object(json, '', 1)
}

/** A declared field by its path, or an entry of a declared map (`labels.team`); a map itself is nothing that compares. */
export function fieldOf(path: string, fields: Fields): { field: string; key?: string; spec: ListField } | undefined {
  const own = (name: string): ListField | undefined => (Object.hasOwn(fields, name) ? fields[name] : undefined)
  const whole = own(path)
  if (whole) return whole.type === 'map' ? undefined : { field: path, spec: whole }
  const dot = path.indexOf('.')
  const map = dot > 0 ? own(path.slice(0, dot)) : undefined
  return map?.type === 'map' ? { field: path.slice(0, dot), key: path.slice(dot + 1), spec: map } : undefined
}

/** RFC 3339, the form in which times are shown; whatever else `Date` would read is no time here. */
const TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/

const FITS: Readonly<Record<ListField['type'], (value: unknown) => boolean>> = {
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  time: (value) => typeof value === 'string' && TIME.test(value) && !Number.isNaN(Date.parse(value)),
  text: (value) => typeof value === 'string',
  uuid: (value) => typeof value === 'string',
  map: (value) => typeof value === 'string',
  array: () => false,
}

function fit(operator: Operator, operand: unknown, spec: ListField, path: string): Scalar | Scalar[] {
  const one = (value: unknown): Scalar => {
    if (value !== null && (!FITS[spec.type](value) || hasNul(value))) return refuse(path, 'type_mismatch')
    return value as Scalar
  }
  if (spec.type === 'array' && operator !== '$contains' && operator !== '$exists') return refuse(path, 'type_mismatch')
  switch (operator) {
    case '$eq':
    case '$ne':
      return one(operand)
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      if (operand === null || typeof operand === 'boolean' || spec.type === 'boolean')
        return refuse(path, 'not_ordered')
      return one(operand)
    case '$in':
    case '$nin':
      if (!Array.isArray(operand) || operand.length === 0 || operand.length > 100)
        return refuse(path, 'needs_1_to_100_values')
      return operand.map(one)
    case '$like':
      if (typeof operand !== 'string' || !['text', 'uuid', 'map'].includes(spec.type) || hasNul(operand))
        return refuse(path, 'type_mismatch')
      return operand
    case '$exists':
      if (typeof operand !== 'boolean') return refuse(path, 'type_mismatch')
      return operand
    case '$contains':
      if (spec.type !== 'array' || operand === null || !isScalar(operand) || hasNul(operand))
        return refuse(path, 'type_mismatch')
      return operand
    default:
      return refuse(path, 'unknown_operator')
  }
}

/** PostgreSQL's text knows every character but this one. */
const hasNul = (value: unknown): boolean => typeof value === 'string' && value.includes('\0')

/** A pattern of `*` and `?` as an anchored, case-insensitive LIKE pattern. */
const likePattern = (pattern: string): string =>
  pattern
    .replace(/[\\%_]/g, String.raw`\$&`)
    .replaceAll('*', '%')
    .replaceAll('?', '_')

/** The filter as a condition over the given columns. What is absent equals nothing, and `$ne`, `$nin` and `$not` hold for it. */
export function filterSql(node: FilterNode, column: (field: string) => Statement, fields: Fields): Statement {
  if (node.kind === 'not') return sql`not coalesce((${filterSql(node.node, column, fields)}), false)`
  if (node.kind !== 'test') {
    if (node.nodes.length === 0) return sql`true`
    const parts = node.nodes.map((each) => sql`(${filterSql(each, column, fields)})`)
    return sql.join(parts, node.kind === 'and' ? sql` and ` : sql` or `)
  }
  const type = node.key === undefined ? (fields[node.field]?.type ?? 'text') : 'text'
  const base = column(node.field)
  const target = node.key === undefined ? base : sql`(${base} ->> ${node.key}::text)`
  return testSql(node.operator, target, type, node.operand)
}

function testSql(
  operator: Operator,
  target: Statement,
  type: ListField['type'],
  operand: Scalar | Scalar[],
): Statement {
  const scalar = operand as Scalar
  switch (operator) {
    case '$eq':
      return scalar === null ? sql`${target} is null` : among(target, type, [scalar])
    case '$ne':
      return scalar === null ? sql`${target} is not null` : sql`not coalesce(${among(target, type, [scalar])}, false)`
    case '$in':
      return among(target, type, operand as Scalar[])
    case '$nin':
      return sql`not coalesce(${among(target, type, operand as Scalar[])}, false)`
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      // Uuids have the order of their text.
      return sql`${type === 'uuid' ? sql`${target}::text` : target} ${sql.raw(ORDER[operator])} ${typed(scalar, type)}`
    case '$like':
      return sql`${target}::text ilike ${likePattern(String(scalar))}::text`
    case '$exists':
      return scalar === true ? sql`${target} is not null` : sql`${target} is null`
    case '$contains':
      return sql`${String(scalar)}::text = any(${target}::text[])`
  }
}

const ORDER = { $gt: '>', $gte: '>=', $lt: '<', $lte: '<=' } as const

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Whether the target is one of the values; null among them stands for absence. A uuid field is never what is no uuid. */
function among(target: Statement, type: ListField['type'], values: readonly Scalar[]): Statement {
  const present = values.filter((value) => value !== null && (type !== 'uuid' || UUID.test(String(value))))
  const tests: Statement[] = []
  if (present.length < values.length && values.includes(null)) tests.push(sql`${target} is null`)
  const [only] = present
  if (present.length === 1 && only !== undefined)
    tests.push(type === 'uuid' ? sql`${target} = ${only}::uuid` : sql`${target} = ${typed(only, type)}`)
  else if (present.length > 1) tests.push(sql`${target} = any(${arrayOf(present, type)})`)
  return tests.length === 0 ? sql`false` : sql`(${sql.join(tests, sql` or `)})`
}

/** Whole numbers compare as such, so that an index on an integer column serves. */
const isWhole = (value: Scalar): boolean => typeof value === 'number' && Number.isSafeInteger(value)

/** A parameter with its type said: left open, PostgreSQL would take that of the column and refuse what does not fit it. */
function typed(value: Scalar, type: ListField['type']): Statement {
  if (type === 'number') return isWhole(value) ? sql`${value}::bigint` : sql`${value}::float8`
  if (type === 'boolean') return sql`${value}::boolean`
  if (type === 'time') return sql`${new Date(String(value))}::timestamptz`
  return sql`${value}::text`
}

function arrayOf(values: readonly Scalar[], type: ListField['type']): Statement {
  if (type === 'number') return values.every(isWhole) ? sql`${[...values]}::bigint[]` : sql`${[...values]}::float8[]`
  if (type === 'boolean') return sql`${[...values]}::boolean[]`
  if (type === 'time') return sql`${values.map((value) => new Date(String(value)))}::timestamptz[]`
  if (type === 'uuid') return sql`${[...values]}::uuid[]`
  return sql`${[...values]}::text[]`
}
