import { createHmac, timingSafeEqual } from 'node:crypto'
import { Fault, type ListSpec, type Page } from '@wheelhouse/contract'
import { sql } from 'kysely'
import { fieldOf, type FilterNode, filterSql } from './filter.ts'
import type { Statement, Tx } from './tx.ts'

/** What the edge read from a query string, whatever the surface calls its parameters. */
export interface ListQuery {
  page: number
  pageSize: number
  sort: readonly { field: string; descending: boolean }[]
  filter?: FilterNode
  /** An opaque position; wins over `page`. */
  cursor?: string
  /** Signs cursors, so that nobody builds one. */
  cursorSecret: Buffer
}

export interface ListSource<Row, T> {
  table: string
  /** The columns of a row, for `select`. */
  select: Statement
  /** Conditions beside the caller's filter. */
  where?: readonly Statement[]
  /** One more condition, where `key` is unique only among the rows that meet it (events of one run). */
  within?: Statement
  /** Columns of fields whose name is not simply their snake case. */
  columns?: Readonly<Record<string, Statement>>
  /** Tables without an `id` name their last key here. */
  key?: string
  map(row: Row): T
}

/** Totals are exact to here, then estimates (decisions D1). */
const EXACT_TO = 10_000
const MAX_OFFSET = 100_000

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/**
 * One page of a table under row-level security: filter, sort, exact small totals, cursors beside page numbers.
 * The page is cut over keys alone, so that a deep page reads no wide rows. Refuses offsets beyond 100,000 with a hint to the cursor.
 */
export async function listPage<Row, T>(
  tx: Tx,
  spec: ListSpec,
  source: ListSource<Row, T>,
  query: ListQuery,
): Promise<Page<T>> {
  const key = source.key ?? 'id'
  const table = sql.table(source.table)
  const column = (field: string): Statement => source.columns?.[field] ?? sql.ref(`${source.table}.${snake(field)}`)
  const keyColumn = sql.ref(`${source.table}.${key}`)
  const where = [...(source.where ?? []), ...(source.within ? [source.within] : [])]
  if (query.filter) where.push(filterSql(query.filter, column, spec.fields))
  const all =
    where.length === 0
      ? sql`true`
      : sql.join(
          where.map((each) => sql`(${each})`),
          sql` and `,
        )

  const order: Order = [
    ...query.sort.map(({ field: path, descending }) => {
      const { field, key, spec: declared } = fieldOf(path, spec.fields) ?? { field: path }
      return {
        column: key === undefined ? column(field) : sql`(${column(field)} ->> ${key}::text)`,
        descending,
        time: declared?.type === 'time',
        nullable: key !== undefined || declared?.nullable === true,
      }
    }),
    { column: keyColumn, descending: query.sort[0]?.descending ?? false, time: false, nullable: false },
  ]
  const orderBy = sql.join(
    order.map(
      (by) => sql`${by.column} ${sql.raw(by.descending ? 'desc' : 'asc')} ${sql.raw(by.nullable ? 'nulls last' : '')}`,
    ),
  )
  const offset = query.cursor === undefined ? (query.page - 1) * query.pageSize : 0
  if (offset + query.pageSize > MAX_OFFSET) {
    throw new Fault(
      'VAL_INVALID_PAGINATION',
      { page: query.page, pageSize: query.pageSize },
      {
        message: `Pages end at ${MAX_OFFSET} items; go on with the cursor of the page before, or narrow the filter`,
      },
    )
  }
  // A cursor belongs to one table in one order: its values mean nothing elsewhere.
  const scope = JSON.stringify([source.table, query.sort])
  const after =
    query.cursor === undefined
      ? sql`true`
      : behind(order, readCursor(query.cursor, query.cursorSecret, scope, order.length))
  const sortValues = sql.join(order.map(({ column: by }, i) => sql`${by} as ${sql.ref(`_s${i}`)}`))

  const rows = await tx.many<Row & Record<string, unknown>>(sql`
    with keys as (
      select ${keyColumn} as _key, ${sortValues} from ${table} where ${all} and ${after}
      order by ${orderBy} limit ${query.pageSize + 1} offset ${offset})
    select ${source.select}, ${sql.join(order.map((_, i) => sql.ref(`keys._s${i}`)))} from keys
    join ${table} on ${keyColumn} = keys._key and ${source.within ?? sql`true`} order by ${orderBy}`)
  const shown = rows.slice(0, query.pageSize)
  const last = rows.length > query.pageSize ? shown.at(-1) : undefined
  const position = last && order.map((by, i) => (by.time ? { t: last[`_s${i}`] } : last[`_s${i}`]))
  // The sort values served the cursor; a mapper that copies its row must not show them.
  for (const row of shown) for (const i of order.keys()) delete row[`_s${i}`]
  const { total, exact } = await count(
    tx,
    source.table,
    table,
    all,
    offset + shown.length,
    rows.length <= query.pageSize && query.cursor === undefined && (shown.length > 0 || query.page === 1),
  )
  return {
    items: shown.map((row) => source.map(row)),
    page: query.page,
    pageSize: query.pageSize,
    total,
    totalExact: exact,
    next: position ? writeCursor(position, query.cursorSecret, scope) : null,
  }
}

async function count(tx: Tx, name: string, table: Statement, where: Statement, seen: number, complete: boolean) {
  if (complete) return { total: seen, exact: true }
  const { n } = await tx.one<{ n: number }>(
    sql`select count(*) as n from (select 1 from ${table} where ${where} limit ${EXACT_TO + 1}) counted`,
  )
  if (n <= EXACT_TO) return { total: n, exact: true }
  const { estimate } = await tx.one<{ estimate: number }>(
    sql`select reltuples::bigint as estimate from pg_class where oid = ${name}::regclass`,
  )
  return { total: Math.max(estimate, EXACT_TO + 1, seen), exact: false }
}

type Order = readonly { column: Statement; descending: boolean; time: boolean; nullable: boolean }[]

/** Rows that come after the given sort values; nulls are last in both directions. */
function behind(order: Order, values: readonly unknown[]): Statement {
  const down = order[0]?.descending ?? false
  if (order.every((by) => !by.nullable && by.descending === down)) {
    const columns = sql.join(order.map((by) => by.column))
    return sql`(${columns}) ${sql.raw(down ? '<' : '>')} (${sql.join(values.map((value) => sql`${param(value)}`))})`
  }
  const branches = order.map((by, i) => {
    const equal = order.slice(0, i).map((before, j) => sql`${before.column} is not distinct from ${param(values[j])}`)
    const value = param(values[i])
    const ahead = by.descending ? sql`${by.column} < ${value}` : sql`${by.column} > ${value}`
    const beyond = value === null ? sql`false` : by.nullable ? sql`(${ahead} or ${by.column} is null)` : ahead
    return sql`(${sql.join([...equal, beyond], sql` and `)})`
  })
  return sql`(${sql.join(branches, sql` or `)})`
}

/** Cursor values are tagged: `t` an instant, else the JSON value. */
function param(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('t' in value)) return value
  return value.t === null ? null : new Date(Number(value.t))
}

function writeCursor(values: readonly unknown[], secret: Buffer, scope: string): string {
  const body = Buffer.from(JSON.stringify(values)).toString('base64url')
  return `${body}.${mac(body, secret, scope).toString('base64url')}`
}

const mac = (body: string, secret: Buffer, scope: string): Buffer =>
  createHmac('sha256', secret).update(scope).update('\0').update(body).digest().subarray(0, 16)

function readCursor(cursor: string, secret: Buffer, scope: string, length: number): unknown[] {
  const [body = '', signature = ''] = cursor.split('.')
  const given = Buffer.from(signature, 'base64url')
  const right = mac(body, secret, scope)
  if (given.length === right.length && timingSafeEqual(given, right)) {
    const values: unknown = JSON.parse(Buffer.from(body, 'base64url').toString())
    if (Array.isArray(values) && values.length === length) return values
  }
  throw new Fault(
    'VAL_INVALID_PAGINATION',
    { cursor: 'invalid' },
    { message: 'The cursor is not one of this list; begin again without it' },
  )
}

/** Reads `sort=a,-b` against the declared fields. */
export function parseSort(text: string | undefined, spec: ListSpec): { field: string; descending: boolean }[] {
  const parts = (text ?? spec.default)
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
  const sort = parts.map((part) => ({ field: part.replace(/^-/, ''), descending: part.startsWith('-') }))
  for (const { field } of sort) {
    if (text !== undefined && (fieldOf(field, spec.fields)?.spec.sort !== true || field.includes('\0'))) {
      throw new Fault('VAL_INVALID_SORT', {
        field,
        sortable: Object.keys(spec.fields).filter((name) => spec.fields[name]?.sort === true),
      })
    }
  }
  if (sort.length > 3) throw new Fault('VAL_INVALID_SORT', { reason: 'at most 3 keys' })
  return sort
}
