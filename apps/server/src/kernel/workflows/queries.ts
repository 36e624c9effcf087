import type { TimelineEvent as ShownEvent, WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { type Instant, iso } from '../clock/index.ts'
import { sql, type Statement, type Tx } from '../db/index.ts'
import { findRun, type RunRow, lightRunColumns } from './run-rows.ts'
import { runStatuses, shownRun, type ShownTimer } from './shown.ts'
import { lightStepColumns, stepColumns, stepOf, type StepRow } from './step-rows.ts'

/** Of each step so many children stand in the run itself. */
const SHOWN_CHILDREN = 100
const MOST_CHILDREN = 1000

/** A run as jobs.md 8 shows it, with what its steps gave and with its timers. */
export async function readRun(tx: Tx, id: string, now: Instant): Promise<WorkflowRun | undefined> {
  const row = await findRun(tx, id)
  if (!row) return undefined
  const steps = await tx.many<StepRow>(sql`
    select ${stepColumns} from run_steps where run_id = ${id} and child_index is null order by key`)
  const children = steps.some((step) => step.children !== null)
    ? await tx.many<StepRow>(sql`
        select ${stepColumns} from run_steps where run_id = ${id} and child_index < ${SHOWN_CHILDREN} order by node_id, child_index limit ${MOST_CHILDREN}`)
    : []
  const timers = await tx.many<ShownTimer>(sql`
    select step_key as step, purpose, fires_at as at from run_timers where run_id = ${id} order by fires_at limit 100`)
  return shownRun(row, [...steps, ...children].map(stepOf), { whole: true, now, timers })
}

export interface RunFilter {
  workflowId?: string
  status?: string
  teamId?: string
  beforeUs?: number
  afterUs?: number
  upToUs?: number
}

/** Runs, the most recently changed first. `next`: where the following page begins; ties of the last time stand on this page. */
export async function listRuns(
  tx: Tx,
  filter: RunFilter,
  limit: number,
  now: Instant,
): Promise<{ items: WorkflowRun[]; next: number | null }> {
  const where: Statement[] = [sql`true`]
  if (filter.workflowId !== undefined) where.push(sql`workflow_id = ${filter.workflowId}`)
  if (filter.teamId !== undefined) where.push(sql`team_id = ${filter.teamId}`)
  if (filter.beforeUs !== undefined) where.push(sql`updated_us < ${filter.beforeUs}`)
  if (filter.afterUs !== undefined) where.push(sql`updated_us > ${filter.afterUs}`)
  if (filter.upToUs !== undefined) where.push(sql`updated_us <= ${filter.upToUs}`)
  if (filter.status !== undefined) {
    const statuses = runStatuses(filter.status)
    // A status that nobody knows is a filter that nothing passes.
    if (statuses.length === 0) return { items: [], next: null }
    where.push(sql`status = any(${statuses})`)
  }
  const rows = await tx.many<RunRow>(sql`
    select ${lightRunColumns} from runs where ${sql.join(where, sql` and `)} order by updated_us desc fetch first ${limit} rows with ties`)
  const last = rows.at(-1)
  const steps = await tx.many<StepRow & { runId: string }>(sql`
    select run_id as "runId", ${lightStepColumns} from run_steps where run_id = any(${rows.map(({ id }) => id)}) and child_index is null order by key`)
  const byRun = Map.groupBy(steps, ({ runId }) => runId)
  return {
    items: rows.map((row) => shownRun(row, (byRun.get(row.id) ?? []).map(stepOf), { whole: false, now })),
    next: last && rows.length >= limit ? last.updatedUs : null,
  }
}

export interface EventRow {
  seq: number
  at: Instant
  type: string
  stepKey: string | null
  jobId: string | null
  status: string | null
  resultPtr: string | null
  message: string | null
  data: Record<string, unknown> | null
}

export const eventColumns = sql`seq, at, type, step_key as "stepKey", job_id as "jobId", status, result_ptr as "resultPtr", message, data`

/** A timeline's newest events in the order of their time, or those from a number on. */
export async function readEvents(
  tx: Tx,
  runId: string,
  { limit, from }: { limit: number; from?: number },
): Promise<EventRow[]> {
  if (from !== undefined)
    return tx.many<EventRow>(
      sql`select ${eventColumns} from run_events where run_id = ${runId} and seq >= ${from} order by seq limit ${limit}`,
    )
  const newest = await tx.many<EventRow>(
    sql`select ${eventColumns} from run_events where run_id = ${runId} order by seq desc limit ${limit}`,
  )
  return newest.toReversed()
}

/** jobs.md 8 and 21.8. */
export const shownEvent = (event: EventRow, runId: string, workflowId: string): ShownEvent => ({
  time: iso(event.at),
  type: event.type,
  run_id: runId,
  workflow_id: workflowId,
  ...(event.stepKey === null ? {} : { step_id: event.stepKey }),
  ...(event.jobId === null ? {} : { job_id: event.jobId }),
  ...(event.status === null ? {} : { status: event.status }),
  ...(event.resultPtr === null ? {} : { result_ptr: event.resultPtr }),
  ...(event.message === null ? {} : { message: event.message }),
  ...(event.data === null ? {} : { data: event.data }),
  seq: event.seq,
})

/** How many runs of each workflow there were in each state since then. */
export const countRuns = (
  tx: Tx,
  since: Instant,
): Promise<{ workflowId: string; status: RunRow['status']; n: number; lastUs: number }[]> =>
  tx.many(sql`
    select workflow_id as "workflowId", status, count(*)::int as n, max(updated_us) as "lastUs" from runs
     where updated_us >= ${since * 1000} group by 1, 2`)

/** When it changed last and how far its timeline goes. */
export const runHead = (
  tx: Tx,
  id: string,
): Promise<{ status: RunRow['status']; workflowId: string; nextSeq: number; at: Instant } | undefined> =>
  tx.maybe(sql`
    select status, workflow_id as "workflowId", next_seq as "nextSeq", to_timestamp(updated_us / 1000000.0) as at from runs where id = ${id}`)
