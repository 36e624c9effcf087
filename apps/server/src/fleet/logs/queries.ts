import { Fault, type Page } from '@wheelhouse/contract'
import type { Log, LogQuery } from '@wheelhouse/contract/fleet/logs'
import type { LogLevel, LogSource } from '@wheelhouse/contract/fleet/words'
import { ids, type Instant } from '../../kernel/clock/index.ts'
import { at, type Db, type ListQuery, type Statement, sql, type Tx } from '../../kernel/db/index.ts'
import { shownLog } from './store.ts'

interface LogRow {
  id: string
  instanceId: string
  level: LogLevel
  source: LogSource
  message: string
  metadata: Record<string, unknown> | null
  deploymentId: string | null
  at: Instant
}

const columns = sql`id, instance_id as "instanceId", level, source, message, metadata, deployment_id as "deploymentId", at`

/** Totals are exact to here (decisions D1). */
const EXACT_TO = 10_000
const MAX_OFFSET = 100_000
/** Where no whole word fits, parts of words are looked for in this many of the newest lines: no index finds them. */
const SUBSTRING_LINES = 200_000

export interface LogFilter extends Omit<LogQuery, 'page' | 'pageSize' | 'limit' | 'search'> {
  /** Instances of teams that the caller is not in. */
  hidden: readonly string[]
}

function conditions({ instanceId, level, source, deploymentId, from, to, hidden }: LogFilter): Statement {
  const all: Statement[] = [sql`true`]
  if (instanceId !== undefined) all.push(sql`instance_id = ${instanceId}`)
  if (level !== undefined) all.push(sql`level = any(${level.split(',')})`)
  if (source !== undefined) all.push(sql`source = any(${source.split(',')})`)
  if (deploymentId !== undefined) all.push(sql`deployment_id = ${deploymentId}`)
  if (from !== undefined) all.push(sql`at >= ${at(Date.parse(from))}`)
  if (to !== undefined) all.push(sql`at <= ${at(Date.parse(to))}`)
  if (hidden.length > 0) all.push(sql`instance_id <> all(${[...hidden]})`)
  return sql.join(all, sql` and `)
}

/**
 * One page of lines, newest first. A search matches words by the full-text index; only when none fits, parts of words among the newest
 * lines (fleet.md §2, Logs). Both run through the reader's door, where the tenant is written into the statement (decisions D6).
 */
export async function pageOfLogs(
  db: Db,
  tenantId: string,
  filter: LogFilter,
  search: string | undefined,
  list: ListQuery,
): Promise<Page<Log>> {
  const offset = (list.page - 1) * list.pageSize
  if (offset + list.pageSize > MAX_OFFSET) {
    throw new Fault(
      'VAL_INVALID_PAGINATION',
      { page: list.page, pageSize: list.pageSize },
      { message: `Pages end at ${MAX_OFFSET} lines; narrow the time with from and to` },
    )
  }
  const source = await matching(db, tenantId, filter, search?.trim())
  const [rows, [counted]] = await Promise.all([
    db.big(
      tenantId,
      (tenant) => sql<LogRow>`
        select ${columns} from ${source(tenant)} order by at desc, id desc limit ${list.pageSize} offset ${offset}`,
    ),
    db.big(
      tenantId,
      (tenant) =>
        sql<{ n: number }>`select count(*) as n from (select 1 from ${source(tenant)} limit ${EXACT_TO + 1}) counted`,
    ),
  ])
  const n = counted?.n ?? 0
  return {
    items: rows.map(shownLog),
    page: list.page,
    pageSize: list.pageSize,
    total: Math.max(n, offset + rows.length),
    totalExact: n <= EXACT_TO,
    next: null,
  }
}

type Source = (tenant: string) => Statement

async function matching(db: Db, tenantId: string, filter: LogFilter, search: string | undefined): Promise<Source> {
  const where = conditions(filter)
  const lines =
    (more: Statement): Source =>
    (tenant) =>
      sql`logs where tenant_id = ${tenant} and ${where} and ${more}`
  if (search === undefined || search === '') return lines(sql`true`)
  const words = lines(sql`to_tsvector('simple', message) @@ plainto_tsquery('simple', ${search})`)
  const hit = await db.big(tenantId, (tenant) => sql`select 1 from ${words(tenant)} limit 1`)
  if (hit.length > 0) return words
  return (tenant) => sql`(
    select * from logs where tenant_id = ${tenant} and ${where} order by at desc, id desc limit ${SUBSTRING_LINES}) as newest
    where strpos(lower(message), ${search.toLowerCase()}) > 0`
}

/** One line by its id, whose time says in which day it lies. */
export async function findLog(tx: Tx, id: string, hidden: readonly string[]): Promise<Log> {
  const time = ids.timeOf(id)
  const row =
    time === undefined
      ? undefined
      : await tx.maybe<LogRow>(sql`select ${columns} from logs where at = ${at(time)} and id = ${id}`)
  if (!row || hidden.includes(row.instanceId))
    throw new Fault('RES_NOT_FOUND', { kind: 'log', id }, { message: `Log '${id}' was not found` })
  return shownLog(row)
}

export interface LogCounts {
  total: number
  byLevel: Record<string, number>
  bySource: Record<string, number>
  topInstances: { instanceId: string; count: number }[]
  instancesWithErrors: number
}

const HOUR_MS = 3_600_000

/** Exact counts over a window: whole hours from their counters, the rest of the first and the last hour from the lines. */
export async function countLogs(
  tx: Tx,
  filter: Pick<LogFilter, 'instanceId' | 'hidden'> & { from?: Instant; to?: Instant },
): Promise<LogCounts> {
  const { instanceId, hidden, from, to } = filter
  const of = conditions({ instanceId, hidden })
  const first = from === undefined ? undefined : Math.ceil(from / HOUR_MS) * HOUR_MS
  const last = to === undefined ? undefined : Math.floor(to / HOUR_MS) * HOUR_MS
  const parts: Statement[] = []
  const edge = (since: Instant, until: Instant) =>
    parts.push(sql`
      select instance_id, level, source, count(*) as n from logs
       where ${of} and at >= ${at(since)} and at < ${at(until)} group by 1, 2, 3`)
  const narrow = first !== undefined && last !== undefined && first > last
  if (narrow && from !== undefined && to !== undefined) edge(from, to)
  else {
    parts.push(sql`
      select instance_id, level, source, sum(n) as n from log_counts
       where ${of} and ${first === undefined ? sql`true` : sql`hour >= ${at(first)}`}
         and ${last === undefined ? sql`true` : sql`hour < ${at(last)}`} group by 1, 2, 3`)
    if (from !== undefined && first !== undefined && first > from) edge(from, first)
    if (to !== undefined && last !== undefined && to > last) edge(last, to)
  }
  const rows = await tx.many<{ kind: string; key: string; n: number }>(sql`
    with counted as (${sql.join(parts, sql` union all `)})
    select 'level' as kind, level as key, sum(n)::bigint as n from counted group by level
    union all select 'source', source, sum(n)::bigint from counted group by source
    union all (select 'instance', instance_id, sum(n)::bigint from counted group by instance_id order by 3 desc, 2 limit 20)
    union all select 'failing', '', count(distinct instance_id) from counted where level = 'ERROR' and n > 0`)
  const of_ = (kind: string) => rows.filter((row) => row.kind === kind)
  const record = (kind: string) => Object.fromEntries(of_(kind).map(({ key, n }) => [key, n]))
  const byLevel = record('level')
  return {
    total: Object.values(byLevel).reduce((sum, n) => sum + n, 0),
    byLevel,
    bySource: record('source'),
    topInstances: of_('instance').map(({ key, n }) => ({ instanceId: key, count: n })),
    instancesWithErrors: of_('failing')[0]?.n ?? 0,
  }
}
