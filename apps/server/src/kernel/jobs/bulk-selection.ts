import type { DeadLetterFilter, JobFilter } from '@wheelhouse/contract/native/bulk'
import type { Instant } from '../clock/index.ts'
import { at, type Statement, sql, type Tx } from '../db/index.ts'
import { jobState, type QueueState, statesOf, stateWord } from './state.ts'

/** What an act goes over. */
export type BulkVerb = 'cancel' | 'retry' | 'replay' | 'dead-letter-retry' | 'dead-letter-delete'

export type BulkFilter = JobFilter | DeadLetterFilter

export const isOfLetters = (verb: BulkVerb): boolean => verb.startsWith('dead-letter-')

const time = (text: string): Date => new Date(text)

const QUEUED: Readonly<Record<string, readonly QueueState[]>> = {
  pending: ['ready', 'waiting', 'undecided', 'paused', 'blocked'],
  held: ['held'],
  running: ['leased'],
}

/** Jobs by the states' words: living ones by their queue row, ended ones by their own. */
function inStates(words: readonly string[]): Statement {
  const states = words.flatMap((word) => statesOf('jobs', word))
  const living = states.flatMap((state) => QUEUED[state] ?? [])
  return sql`(j.state = any(${states}::text[]) or (j.state = 'open' and q.state = any(${living}::text[])))`
}

function jobsWhere(verb: BulkVerb, filter: JobFilter, upTo: Instant): Statement[] {
  const where: Statement[] = [
    verb === 'cancel'
      ? sql`j.state = 'open' and j.created_at <= ${at(upTo)}`
      : verb === 'retry'
        ? sql`j.state in ('failed', 'cancelled', 'timed_out', 'denied') and j.ended_at <= ${at(upTo)}`
        : sql`j.state <> 'open' and j.ended_at <= ${at(upTo)}`,
  ]
  if (filter.states !== undefined) where.push(inStates(filter.states))
  if (filter.topic !== undefined) where.push(sql`j.topic = ${filter.topic}`)
  if (filter.traceId !== undefined) where.push(sql`j.trace_id = ${filter.traceId}`)
  if (filter.reasonCode !== undefined) where.push(sql`j.error_code = ${filter.reasonCode}`)
  if (filter.createdAfter !== undefined) where.push(sql`j.created_at >= ${time(filter.createdAfter)}`)
  if (filter.createdBefore !== undefined) where.push(sql`j.created_at < ${time(filter.createdBefore)}`)
  if (filter.endedAfter !== undefined) where.push(sql`j.ended_at >= ${time(filter.endedAfter)}`)
  if (filter.endedBefore !== undefined) where.push(sql`j.ended_at < ${time(filter.endedBefore)}`)
  if (filter.ids !== undefined) where.push(sql`j.id = any(${filter.ids}::text[])`)
  for (const [name, value] of Object.entries(filter.labels ?? {}))
    where.push(sql`j.request -> 'labels' ->> ${name}::text = ${value}`)
  return where
}

function lettersWhere(filter: DeadLetterFilter, upTo: Instant): Statement[] {
  const where: Statement[] = [sql`l.created_at <= ${at(upTo)}`]
  if (filter.topic !== undefined) where.push(sql`l.topic = ${filter.topic}`)
  if (filter.reasonCode !== undefined) where.push(sql`l.reason_code = ${filter.reasonCode}`)
  if (filter.status !== undefined) where.push(sql`l.status = ${filter.status}`)
  if (filter.after !== undefined) where.push(sql`l.created_at >= ${time(filter.after)}`)
  if (filter.before !== undefined) where.push(sql`l.created_at < ${time(filter.before)}`)
  if (filter.ids !== undefined) where.push(sql`l.job_id = any(${filter.ids}::text[])`)
  return where
}

/** Living jobs are found by their queue rows, of which there are few. */
function source(
  verb: BulkVerb,
  filter: BulkFilter,
  upTo: Instant,
): { from: Statement; id: Statement; where: Statement } {
  const and = (where: readonly Statement[]): Statement => sql.join([...where], sql` and `)
  if (isOfLetters(verb))
    return {
      from: sql`dead_letters l`,
      id: sql`l.job_id`,
      where: and(lettersWhere(filter as DeadLetterFilter, upTo)),
    }
  const where = and(jobsWhere(verb, filter as JobFilter, upTo))
  return verb === 'cancel'
    ? { from: sql`job_queue q join jobs j on j.tenant_id = q.tenant_id and j.id = q.id`, id: sql`q.id`, where }
    : { from: sql`jobs j left join job_queue q on q.tenant_id = j.tenant_id and q.id = j.id`, id: sql`j.id`, where }
}

export interface Count {
  count: number
  /** Jobs by state, dead letters by reason. */
  groups: { name: string; count: number }[]
  /** Up to ten ids. */
  examples: string[]
}

/** What an act would go over now. */
export async function countOf(tx: Tx, verb: BulkVerb, filter: BulkFilter, upTo: Instant): Promise<Count> {
  const { from, id, where } = source(verb, filter, upTo)
  const letters = isOfLetters(verb)
  const group = letters ? sql`l.reason_code as recorded, null as queue` : sql`j.state as recorded, q.state as queue`
  const rows = await tx.many<{ recorded: string; queue: QueueState | null; count: number }>(
    sql`select ${group}, count(*)::int as count from ${from} where ${where} group by 1, 2`,
  )
  const groups = new Map<string, number>()
  for (const { recorded, queue, count } of rows) {
    const name = letters ? recorded : stateWord('jobs', jobState(recorded, queue))
    groups.set(name, (groups.get(name) ?? 0) + count)
  }
  const examples = await tx.many<{ id: string }>(
    sql`select ${id} as id from ${from} where ${where} order by 1 limit 10`,
  )
  return {
    count: rows.reduce((sum, { count }) => sum + count, 0),
    groups: [...groups].map(([name, count]) => ({ name, count })).sort((a, b) => b.count - a.count),
    examples: examples.map((row) => row.id),
  }
}

/** The next ids in their order, after the last one that was dealt with. */
export async function nextIds(
  tx: Tx,
  verb: BulkVerb,
  filter: BulkFilter,
  upTo: Instant,
  after: string | null,
  limit: number,
): Promise<string[]> {
  const { from, id, where } = source(verb, filter, upTo)
  const rows = await tx.many<{ id: string }>(
    sql`select ${id} as id from ${from} where ${where} and ${id} > ${after ?? ''} order by ${id} limit ${limit}`,
  )
  return rows.map((row) => row.id)
}
