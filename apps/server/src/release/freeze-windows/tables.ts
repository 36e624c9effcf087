import type { FreezeWindow } from '@wheelhouse/contract/release/freeze-windows'
import { type Instant, iso } from '../../kernel/clock/index.ts'
import { at, sql, type Statement, type Tx } from '../../kernel/db/index.ts'

interface FreezeRow {
  id: string
  environment_id: string
  starts_at: Instant
  ends_at: Instant
  reason: string
  exceptions: string[]
  freq: 'weekly' | 'monthly' | 'yearly' | null
  until: Instant | null
  created_by: string
  created_at: Instant
  active: boolean
}

export interface NewFreeze {
  id: string
  environmentId: string
  start: Instant
  end: Instant
  reason: string
  exceptions: readonly string[]
  freq: FreezeRow['freq']
  until: Instant | null
  createdBy: string
  createdAt: Instant
}

/** Plain seconds: an interval of days would follow the session's daylight saving. */
const length = sql`make_interval(secs => extract(epoch from freeze_windows.ends_at - freeze_windows.starts_at))`

/** The end of the last occurrence that begins at or before an instant; null where none does. */
const lastEnd = (bound: Statement): Statement =>
  sql`wh_last_occurrence(freeze_windows.starts_at, freeze_windows.freq, freeze_windows.until, ${bound}) + ${length}`

/** Whether an occurrence is running: of several, the last to begin is the last to end. */
export const isActive = (now: Instant): Statement => sql`coalesce(${at(now)} < ${lastEnd(sql`${at(now)}`)}, false)`

/** Whether an occurrence overlaps the time from `from` (or ever) until `to` (or for ever). */
export const overlaps = (from: Instant | undefined, to: Instant | undefined): Statement =>
  sql`${lastEnd(to === undefined ? sql`'infinity'::timestamptz` : sql`${at(to - 1)}::timestamptz`)} > ${
    from === undefined ? sql`'-infinity'::timestamptz` : sql`${at(from)}::timestamptz`
  }`

export const columns = (now: Instant): Statement =>
  sql`freeze_windows.id, freeze_windows.environment_id, freeze_windows.starts_at, freeze_windows.ends_at, freeze_windows.reason,
      freeze_windows.exceptions, freeze_windows.freq, freeze_windows.until, freeze_windows.created_by, freeze_windows.created_at,
      ${isActive(now)} as active`

export const toFreezeWindow = (row: FreezeRow): FreezeWindow => ({
  id: row.id,
  environmentId: row.environment_id,
  start: iso(row.starts_at),
  end: iso(row.ends_at),
  reason: row.reason,
  createdBy: row.created_by,
  exceptions: row.exceptions,
  active: row.active,
  createdAt: iso(row.created_at),
  ...(row.freq === null
    ? {}
    : { recurrence: { freq: row.freq, ...(row.until === null ? {} : { until: iso(row.until) }) } }),
})

export const insertFreeze = (tx: Tx, freeze: NewFreeze): Promise<number> =>
  tx.run(sql`
    insert into freeze_windows (tenant_id, id, environment_id, starts_at, ends_at, reason, exceptions, freq, until, due_at, created_by, created_at)
    values (${tx.tenantId}, ${freeze.id}, ${freeze.environmentId}, ${at(freeze.start)}, ${at(freeze.end)}, ${freeze.reason},
            ${[...freeze.exceptions]}, ${freeze.freq}, ${at(freeze.until)}, ${at(freeze.start)}, ${freeze.createdBy}, ${at(freeze.createdAt)})`)

export async function findFreeze(
  tx: Tx,
  now: Instant,
  environmentId: string,
  id: string,
): Promise<FreezeWindow | undefined> {
  const row = await tx.maybe<FreezeRow>(
    sql<FreezeRow>`select ${columns(now)} from freeze_windows where environment_id = ${environmentId} and id = ${id} for update`,
  )
  return row && toFreezeWindow(row)
}

export const deleteFreeze = (tx: Tx, id: string): Promise<number> =>
  tx.run(sql`delete from freeze_windows where id = ${id}`)

/** The windows of these environments that are not past: running, or with an occurrence to come. In order of their start. */
export async function comingFreezes(
  tx: Tx,
  now: Instant,
  environmentIds: readonly string[],
): Promise<Map<string, FreezeWindow[]>> {
  const rows = await tx.many<FreezeRow>(
    sql<FreezeRow>`
      select ${columns(now)} from freeze_windows
       where environment_id = any(${[...environmentIds]}::uuid[]) and ${overlaps(now, undefined)}
       order by starts_at, id`,
  )
  const byEnvironment = new Map<string, FreezeWindow[]>(environmentIds.map((id) => [id, []]))
  for (const row of rows) byEnvironment.get(row.environment_id)?.push(toFreezeWindow(row))
  return byEnvironment
}

/** A window that has something to tell: that an occurrence began, or ended. */
export interface DueFreeze {
  id: string
  environment_id: string
  reason: string
  occurrence: Instant | null
  occurrence_end: Instant | null
  following: Instant | null
  started_occurrence: Instant | null
  ended_occurrence: Instant | null
  started_end: Instant | null
}

/** Locks the windows that are due, so that of two replicas one tells: the other finds them told. */
export const dueFreezes = (tx: Tx, now: Instant): Promise<DueFreeze[]> =>
  tx.many<DueFreeze>(sql<DueFreeze>`
    select id, environment_id, reason, started_occurrence, ended_occurrence, started_occurrence + ${length} as started_end,
           wh_last_occurrence(starts_at, freq, until, ${at(now)}) as occurrence, ${lastEnd(sql`${at(now)}`)} as occurrence_end,
           wh_next_occurrence(starts_at, freq, until, ${at(now)}) as following
      from freeze_windows where due_at <= ${at(now)} order by due_at, id limit 100 for update`)

export const markTold = (
  tx: Tx,
  id: string,
  told: { started: Instant | null; ended: Instant | null; due: Instant | null },
): Promise<number> =>
  tx.run(sql`
    update freeze_windows set started_occurrence = ${at(told.started)}, ended_occurrence = ${at(told.ended)}, due_at = ${at(told.due)}
     where id = ${id}`)
