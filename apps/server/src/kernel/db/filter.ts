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
    const [head = '', ...rest] = name.split('.')
    const whole = fields[name]
    const spec = whole ?? (fields[head]?.type === 'map' ? fields[head] : undefined)
    if (!spec?.filter) return refuse(path, 'unknown_field')
    const target = whole ? { field: name } : { field: head, key: rest.join('.') }
    const check = (op: Operator, value: unknown): FilterNode => {
      conditions += 1
      if (conditions > MAX_CONDITIONS) refuse(path, 'too_many_conditions')
      return { kind: 'test', ...target, operator: op, operand: fit(op, value, spec, target.key !== undefined, path) }
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

function fit(operator: Operator, operand: unknown, spec: ListField, inMap: boolean, path: string): Scalar | Scalar[] {
  const type = inMap ? 'text' : spec.type
  const one = (value: unknown): Scalar => {
    if (value === null) return null
    const fits =
      type === 'number'
        ? typeof value === 'number'
        : type === 'boolean'
          ? typeof value === 'boolean'
          : type === 'time'
            ? typeof value === 'string' && !Number.isNaN(Date.parse(value))
            : typeof value === 'string' || (type === 'array' && isScalar(value))
    if (!fits) return refuse(path, 'type_mismatch')
    return value as Scalar
  }
  switch (operator) {
    case '$eq':
    case '$ne':
      return one(operand)
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      if (operand === null || typeof operand === 'boolean' || type === 'boolean') return refuse(path, 'not_ordered')
      return one(operand)
    case '$in':
    case '$nin':
      if (!Array.isArray(operand) || operand.length === 0 || operand.length > 100)
        return refuse(path, 'needs_1_to_100_values')
      return operand.map(one)
    case '$like':
      if (typeof operand !== 'string' || (type !== 'text' && type !== 'uuid')) return refuse(path, 'type_mismatch')
      return operand
    case '$exists':
      if (typeof operand !== 'boolean') return refuse(path, 'type_mismatch')
      return operand
    case '$contains':
      if (spec.type !== 'array' || !isScalar(operand)) return refuse(path, 'type_mismatch')
      return operand
    default:
      return refuse(path, 'unknown_operator')
  }
}

/** A pattern of `*` and `?` as an anchored, case-insensitive LIKE pattern. */
const likePattern = (pattern: string): string =>
  pattern
    .replace(/[\\%_]/g, String.raw`\$&`)
    .replaceAll('*', '%')
    .replaceAll('?', '_')

/** The filter as a condition over the given columns. */
export function filterSql(node: FilterNode, column: (field: string) => Statement, fields: Fields): Statement {
  if (node.kind === 'not') return sql`not coalesce((${filterSql(node.node, column, fields)}), false)`
  if (node.kind !== 'test') {
    if (node.nodes.length === 0) return sql`true`
    const parts = node.nodes.map((each) => sql`(${filterSql(each, column, fields)})`)
    return sql.join(parts, node.kind === 'and' ? sql` and ` : sql` or `)
  }
  const spec = fields[node.field]
  const base = column(node.field)
  const target = node.key === undefined ? base : sql`(${base} ->> ${node.key})`
  const value = (operand: Scalar): unknown =>
    spec?.type === 'time' && typeof operand === 'string' ? new Date(operand) : operand
  const operand = node.operand
  switch (node.operator) {
    case '$eq':
      return operand === null ? sql`${target} is null` : sql`${target} = ${value(operand as Scalar)}`
    case '$ne':
      return sql`${target} is distinct from ${value(operand as Scalar)}`
    case '$gt':
      return sql`${target} > ${value(operand as Scalar)}`
    case '$gte':
      return sql`${target} >= ${value(operand as Scalar)}`
    case '$lt':
      return sql`${target} < ${value(operand as Scalar)}`
    case '$lte':
      return sql`${target} <= ${value(operand as Scalar)}`
    case '$in':
      return sql`${target} = any(${(operand as Scalar[]).map(value)})`
    case '$nin':
      return sql`(${target} is null or ${target} <> all(${(operand as Scalar[]).map(value)}))`
    case '$like':
      return sql`${target} ilike ${likePattern(String(operand))}`
    case '$exists':
      return operand === true ? sql`${target} is not null` : sql`${target} is null`
    case '$contains':
      return sql`${operand} = any(${target})`
  }
}
