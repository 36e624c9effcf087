import { Fault, type ListSpec } from '@wheelhouse/contract'
import { type ListQuery, parseFilter, parseSort } from '../db/index.ts'
import type { Dialect } from './dialect.ts'

/** Reads paging, sort and filter as the surface names them, against what the endpoint declares. Out-of-range values are refused or clamped. */
export function readListQuery(
  query: Readonly<Record<string, unknown>>,
  spec: ListSpec,
  dialect: Dialect,
  cursorSecret: Buffer,
): ListQuery {
  const { paging } = dialect
  const sizeName = paging.pageSize.find((name) => query[name] !== undefined)
  const pageSize = integer(
    query,
    sizeName ?? '',
    spec.pageSize ?? paging.defaultPageSize,
    spec.maxPageSize ?? paging.maxPageSize,
    paging.refuse,
  )
  const page = integer(query, 'page', 1, Number.MAX_SAFE_INTEGER, paging.refuse)
  const text = (name: string): string | undefined => {
    const value = query[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const filter = paging.grammar ? text('filter') : undefined
  const cursor = text('cursor')
  return {
    page,
    pageSize,
    sort: parseSort(paging.grammar ? text('sort') : undefined, spec),
    ...(filter === undefined ? {} : { filter: parseFilter(filter, spec.fields) }),
    ...(cursor === undefined || !paging.grammar ? {} : { cursor }),
    cursorSecret,
  }
}

function integer(
  query: Readonly<Record<string, unknown>>,
  name: string,
  fallback: number,
  max: number,
  refuse: boolean,
): number {
  const value = query[name]
  if (value === undefined || value === '') return fallback
  // Digits alone: what else `Number` reads (1e2, 0x10, blanks) is no page.
  const number = typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN
  if (Number.isInteger(number) && number >= 1 && number <= max) return number
  if (refuse)
    throw new Fault(
      'VAL_INVALID_PAGINATION',
      { [name]: value, max },
      { message: `${name} must be an integer from 1 to ${max}` },
    )
  return Number.isFinite(number) && number > max ? max : fallback
}
