import { LRUCache } from 'lru-cache'
import { at, jsonb, sql, storable, type Tx } from '../db/index.ts'
import type { Instant } from '../clock/index.ts'
import type { Principal } from '../identity/index.ts'
import type { Plan } from './plan.ts'
import type { RunState, RunStatus, StepError, TimelineEvent } from './state.ts'

/** What stays the same in the life of a run. */
export interface RunFacts {
  id: string
  workflowId: string
  revision: number
  /** Who started it, as they were then: its jobs are theirs. */
  principal: Principal
  triggeredBy: string
  teamId: string
  labels: Readonly<Record<string, string>>
  metadata: Readonly<Record<string, string>>
  idempotencyKey: string | null
  rerunOf: string | null
  rerunStep: string | null
  parentRunId: string | null
  parentStep: string | null
  /** The run that a tree of sub-runs began with; null for that one itself. */
  rootRunId: string | null
  depth: number
  dryRun: boolean
  createdAt: Instant
}

export interface RunRow extends RunFacts {
  status: RunStatus
  input: Record<string, unknown>
  context: Record<string, unknown>
  output: Record<string, unknown> | null
  error: StepError | null
  startedAt: Instant | null
  completedAt: Instant | null
  updatedUs: number
}

const facts = sql`id, workflow_id as "workflowId", revision, principal, triggered_by as "triggeredBy", team_id as "teamId", labels, metadata,
  idempotency_key as "idempotencyKey", rerun_of as "rerunOf", rerun_step as "rerunStep", parent_run_id as "parentRunId",
  parent_step as "parentStep", root_run_id as "rootRunId", depth, dry_run as "dryRun", created_at as "createdAt"`
const common = sql`${facts}, status, input, output, error, started_at as "startedAt", completed_at as "completedAt",
  updated_us as "updatedUs"`
const runColumns = sql`${common}, context`
/** For lists: without the context, which may be large. */
export const lightRunColumns = sql`${common}, '{}'::jsonb as context`

export const findRun = (tx: Tx, id: string): Promise<RunRow | undefined> =>
  tx.maybe<RunRow>(sql`select ${runColumns} from runs where id = ${id}`)

/** The head of a run's row, locked: undefined when it is not there, or (`skip`) when somebody else has it. */
export const lockRun = (tx: Tx, id: string, skip: boolean): Promise<{ writeNo: number; nextSeq: number } | undefined> =>
  tx.maybe(sql`select write_no as "writeNo", next_seq as "nextSeq" from runs where id = ${id}
    for update ${skip ? sql`skip locked` : sql``}`)

export async function insertRun(tx: Tx, run: RunRow): Promise<void> {
  await tx.run(sql`
    insert into runs (tenant_id, id, workflow_id, revision, status, input, context, dry_run, principal, principal_id, triggered_by, team_id,
      labels, metadata, idempotency_key, rerun_of, rerun_step, parent_run_id, parent_step, root_run_id, depth, created_at, started_at, updated_us)
    values (${tx.tenantId}, ${run.id}, ${run.workflowId}, ${run.revision}, ${run.status}, ${jsonb(run.input)}, ${jsonb(run.context)},
      ${run.dryRun}, ${jsonb(run.principal)}, ${run.principal.id}, ${run.triggeredBy}, ${run.teamId}, ${jsonb(run.labels)},
      ${jsonb(run.metadata)}, ${run.idempotencyKey}, ${run.rerunOf}, ${run.rerunStep}, ${run.parentRunId}, ${run.parentStep}, ${run.rootRunId}, ${run.depth},
      ${at(run.createdAt)}, ${at(run.startedAt)}, ${run.updatedUs})`)
}

const WRITE = `
with written as (
  update runs set status = $2, write_no = $3, next_seq = $4, updated_us = $5, context = coalesce($6::jsonb, context), output = $7::jsonb,
    error = $8::jsonb, started_at = $9, completed_at = $10 where id = $1
), taken as (
  delete from run_inbox where run_id = $1 and n = any($11::bigint[])
)
insert into run_events (tenant_id, run_id, seq, at, type, step_key, job_id, status, result_ptr, message, data)
select $12, $1, $13 + n - 1, $14, type, step, job, e.status, ptr, message, data::jsonb
  from unnest($15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[]) with ordinality
    as e(type, step, job, status, ptr, message, data, n)`

/** What a turn changes of the run beside its steps. */
export interface TurnWrite {
  writeNo: number
  /** Number of the first of the new events. */
  nextSeq: number
  updatedUs: number
  /** Undefined where it is as it was. */
  context: string | undefined
  events: readonly TimelineEvent[]
  /** Entries of the inbox that were taken in. */
  inbox: readonly number[]
  now: Instant
}

/** More of a timeline is not kept; the oldest go first. */
const KEPT_EVENTS = 25_000
const TRIM_EVERY = 1000

/** Writes the run, appends to its timeline and clears its inbox in one statement; returns the number of the next event. */
export async function writeRun(tx: Tx, state: RunState, write: TurnWrite): Promise<number> {
  const { writeNo, nextSeq, updatedUs, context, events, inbox, now } = write
  const of = <V>(pick: (event: TimelineEvent) => V): V[] => events.map(pick)
  const next = nextSeq + events.length
  await tx.query(WRITE, [
    state.id,
    state.status,
    writeNo,
    next,
    updatedUs,
    context ?? null,
    state.output === undefined ? null : jsonb(state.output),
    state.error === undefined ? null : jsonb(state.error),
    at(state.startedAt),
    at(state.completedAt),
    inbox,
    tx.tenantId,
    nextSeq,
    at(now),
    of(({ type }) => type),
    of(({ step }) => step ?? null),
    of(({ jobId }) => jobId ?? null),
    of(({ status }) => status ?? null),
    of(({ resultPtr }) => resultPtr ?? null),
    of(({ message }) => (message === undefined ? null : storable(message, 8000))),
    of(({ data }) => (data === undefined ? null : jsonb(data))),
  ])
  if (next > KEPT_EVENTS && Math.floor(next / TRIM_EVERY) > Math.floor(nextSeq / TRIM_EVERY))
    await tx.query(`delete from run_events where run_id = $1 and seq < $2`, [state.id, next - KEPT_EVENTS])
  return next
}

/** What a run has yet to take in. */
export interface Waiting {
  n: number
  kind: string
  step: string
  jobId: string | null
  body: unknown
}

export async function readInbox(tx: Tx, runId: string, limit: number): Promise<Waiting[]> {
  const { rows } = await tx.query<Waiting & Record<string, unknown>>(
    `select n, kind, step_key as step, job_id as "jobId", body from run_inbox where run_id = $1 order by n limit $2`,
    [runId, limit],
  )
  return rows
}

export const clearInbox = (tx: Tx, runId: string, ns: readonly number[]): Promise<unknown> =>
  tx.query(`delete from run_inbox where run_id = $1 and n = any($2::bigint[])`, [runId, ns])

export const tellRun = (
  tx: Tx,
  runId: string,
  entry: { kind: string; step?: string; body?: unknown },
): Promise<number> =>
  tx.run(sql`
    insert into run_inbox (tenant_id, run_id, kind, step_key, body)
    values (${tx.tenantId}, ${runId}, ${entry.kind}, ${entry.step ?? ''}, ${jsonb(entry.body ?? null)})`)

export interface TimerRow {
  step: string
  purpose: 'delay' | 'retry' | 'timeout'
  attempt: number
}

/** Timers that are over, taken away. */
export const takeTimers = (tx: Tx, runId: string, now: Instant): Promise<TimerRow[]> =>
  tx.many<TimerRow>(sql`
    delete from run_timers where run_id = ${runId} and fires_at <= ${at(now)} returning step_key as step, purpose, attempt`)

export async function setTimers(tx: Tx, runId: string, timers: readonly (TimerRow & { at: Instant })[]): Promise<void> {
  if (timers.length === 0) return
  await tx.query(
    `insert into run_timers (tenant_id, run_id, step_key, purpose, attempt, fires_at)
     select $1, $2, step, purpose, attempt, fires_at from unnest($3::text[], $4::text[], $5::int[], $6::timestamptz[]) as t(step, purpose, attempt, fires_at)
     on conflict (tenant_id, run_id, step_key, purpose) do update set attempt = excluded.attempt, fires_at = excluded.fires_at`,
    [
      tx.tenantId,
      runId,
      timers.map(({ step }) => step),
      timers.map(({ purpose }) => purpose),
      timers.map(({ attempt }) => attempt),
      timers.map((timer) => at(timer.at)),
    ],
  )
}

/** Steps that have ended need no timers; undefined: the whole run. */
export const dropTimers = (tx: Tx, runId: string, steps: readonly string[] | undefined): Promise<unknown> =>
  steps === undefined
    ? tx.query(`delete from run_timers where run_id = $1`, [runId])
    : tx.query(`delete from run_timers where run_id = $1 and step_key = any($2::text[])`, [runId, steps])

/** Drops what waits for a run that is removed: no foreign key takes it along. */
export async function dropWaiting(tx: Tx, runId: string): Promise<void> {
  await tx.query(`delete from run_inbox where run_id = $1`, [runId])
  await dropTimers(tx, runId, undefined)
}

/** Jobs to be cancelled after this commit, each with its reason. */
export async function noteCancels(tx: Tx, runId: string, reasons: ReadonlyMap<string, string>): Promise<void> {
  if (reasons.size === 0) return
  await tx.query(
    `insert into run_cancels (tenant_id, job_id, run_id, reason)
     select $1, job, $2, reason from unnest($3::text[], $4::text[]) as c(job, reason) on conflict do nothing`,
    [tx.tenantId, runId, [...reasons.keys()], [...reasons.values()]],
  )
}

/** Plans do not change once they are saved. */
const plans = new LRUCache<string, Plan>({ max: 500 })

export async function planOf(tx: Tx, workflowId: string, revision: number): Promise<Plan> {
  const key = `${tx.tenantId} ${revision} ${workflowId}`
  const known = plans.get(key)
  if (known) return known
  const { plan } = await tx.one<{ plan: Plan }>(
    sql`select plan from workflow_versions where workflow_id = ${workflowId} and revision = ${revision}`,
  )
  plans.set(key, plan)
  return plan
}
