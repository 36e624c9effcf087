import { at, instants, jsonb, sql, texts, type Tx, words } from '../db/index.ts'
import type { Instant } from '../clock/index.ts'
import type { ChildCounts, StepError, StepRun, StepStatus } from './state.ts'

/** A step's row as it is read. */
export interface StepRow {
  key: string
  nodeId: string
  index: number | null
  status: StepStatus
  attempts: number
  item: unknown
  input: unknown
  output: unknown
  resultPtr: string | null
  error: StepError | null
  jobId: string | null
  childRunId: string | null
  approvalId: string | null
  skipReason: StepRun['skipReason'] | null
  handled: boolean
  edges: Record<string, boolean> | null
  children: ChildCounts | null
  startedAt: Instant | null
  completedAt: Instant | null
  nextAttemptAt: Instant | null
}

const common = sql`key, node_id as "nodeId", child_index as index, status, attempts, item, result_ptr as "resultPtr", error, job_id as "jobId",
  child_run_id as "childRunId", approval_id as "approvalId", skip_reason as "skipReason", handled, edges, children, started_at as "startedAt",
  completed_at as "completedAt", next_attempt_at as "nextAttemptAt"`
export const stepColumns = sql`${common}, input, output`
/** For lists: without the values, which may be large. */
export const lightStepColumns = sql`${common}, null::jsonb as input, null::jsonb as output`

const given = <K extends string, V>(key: K, value: V | null): { [P in K]?: V } =>
  value === null ? {} : ({ [key]: value } as { [P in K]: V })

/** The row as the engine's pure half knows it. A stored null and an absent value are one. */
export function stepOf(row: StepRow): StepRun {
  return {
    key: row.key,
    nodeId: row.nodeId,
    status: row.status,
    attempts: row.attempts,
    ...given('index', row.index),
    ...given('item', row.item),
    ...given('input', row.input),
    ...given('output', row.output),
    ...given('resultPtr', row.resultPtr),
    ...given('error', row.error),
    ...given('jobId', row.jobId),
    ...given('childRunId', row.childRunId),
    ...given('approvalId', row.approvalId),
    ...given('skipReason', row.skipReason),
    ...(row.handled ? { handled: true } : {}),
    ...given('edges', row.edges),
    ...given('children', row.children),
    ...given('startedAt', row.startedAt),
    ...given('completedAt', row.completedAt),
    ...given('nextAttemptAt', row.nextAttemptAt),
  }
}

const text = (value: unknown): string | null => (value === undefined ? null : jsonb(value))

const WRITE = `
insert into run_steps (tenant_id, run_id, key, node_id, child_index, status, attempts, item, input, output, result_ptr, error, job_id, child_run_id,
  approval_id, skip_reason, handled, edges, children, started_at, completed_at, next_attempt_at)
select $1, $2, key, node_id, child_index, status, attempts, item::jsonb, input::jsonb, output::jsonb, result_ptr, error::jsonb, job_id, child_run_id,
  approval_id, skip_reason, handled, edges::jsonb, children::jsonb, started_at, completed_at, next_attempt_at
from unnest($3::text[], $4::text[], $5::int[], $6::text[], $7::int[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
  $14::text[], $15::uuid[], $16::text[], $17::boolean[], $18::text[], $19::text[], $20::timestamptz[], $21::timestamptz[], $22::timestamptz[])
  as s(key, node_id, child_index, status, attempts, item, input, output, result_ptr, error, job_id, child_run_id, approval_id, skip_reason, handled,
    edges, children, started_at, completed_at, next_attempt_at)
on conflict (tenant_id, run_id, key) do update set status = excluded.status, attempts = excluded.attempts, item = excluded.item,
  input = excluded.input, output = excluded.output, result_ptr = excluded.result_ptr, error = excluded.error, job_id = excluded.job_id,
  child_run_id = excluded.child_run_id, approval_id = excluded.approval_id, skip_reason = excluded.skip_reason, handled = excluded.handled,
  edges = excluded.edges, children = excluded.children, started_at = excluded.started_at, completed_at = excluded.completed_at,
  next_attempt_at = excluded.next_attempt_at`

/** Writes steps as they are now, new or known, in one statement. */
export async function writeSteps(tx: Tx, runId: string, steps: readonly StepRun[]): Promise<void> {
  if (steps.length === 0) return
  const word = (pick: (step: StepRun) => string | number | undefined) => words(steps.map((step) => pick(step) ?? null))
  const json = (pick: (step: StepRun) => unknown) => texts(steps.map((step) => text(pick(step))))
  const instant = (pick: (step: StepRun) => Instant | undefined) => instants(steps.map((step) => pick(step) ?? null))
  await tx.query(WRITE, [
    tx.tenantId,
    runId,
    word(({ key }) => key),
    word(({ nodeId }) => nodeId),
    word(({ index }) => index),
    word(({ status }) => status),
    word(({ attempts }) => attempts),
    json(({ item }) => item),
    json(({ input }) => input),
    json(({ output }) => output),
    word(({ resultPtr }) => resultPtr),
    json(({ error }) => error),
    word(({ jobId }) => jobId),
    word(({ childRunId }) => childRunId),
    word(({ approvalId }) => approvalId),
    word(({ skipReason }) => skipReason),
    word(({ handled }) => String(handled ?? false)),
    json(({ edges }) => edges),
    json(({ children }) => children),
    instant(({ startedAt }) => startedAt),
    instant(({ completedAt }) => completedAt),
    instant(({ nextAttemptAt }) => nextAttemptAt),
  ])
}

/** Rows for children that have not begun, one an item. */
export async function insertChildren(
  tx: Tx,
  runId: string,
  nodeId: string,
  items: readonly unknown[],
  from: number,
): Promise<void> {
  await tx.query(
    `insert into run_steps (tenant_id, run_id, key, node_id, child_index, status, item)
     select $1, $2, $3 || '[' || (n + $4 - 1) || ']', $3, n + $4 - 1, 'pending', item::jsonb
       from unnest($5::text[]) with ordinality as i(item, n) on conflict do nothing`,
    [tx.tenantId, runId, nodeId, from, texts(items.map(jsonb))],
  )
}

/** The steps of a run that are no children. */
export const topSteps = (tx: Tx, runId: string): Promise<StepRow[]> =>
  tx.many<StepRow>(sql`select ${stepColumns} from run_steps where run_id = ${runId} and child_index is null`)

export const stepsByKey = (tx: Tx, runId: string, keys: readonly string[]): Promise<StepRow[]> =>
  tx.many<StepRow>(sql`select ${stepColumns} from run_steps where run_id = ${runId} and key = any(${keys})`)

/** The next children that have not begun, in the order of their index. */
export const nextChildren = (tx: Tx, runId: string, nodeId: string, from: number, count: number): Promise<StepRow[]> =>
  tx.many<StepRow>(sql`
    select ${stepColumns} from run_steps where run_id = ${runId} and node_id = ${nodeId} and child_index >= ${from} and status = 'pending'
     order by child_index limit ${count}`)

/** Ends children that have not; returns the jobs, runs and approvals that they were waiting for. `but`: those in hand. */
export const cancelChildren = (
  tx: Tx,
  runId: string,
  nodeId: string,
  now: Instant,
  but: readonly string[],
): Promise<{ key: string; jobId: string | null; childRunId: string | null; approvalId: string | null }[]> =>
  tx.many(sql`
    update run_steps set status = 'cancelled', completed_at = ${at(now)}, next_attempt_at = null
     where run_id = ${runId} and node_id = ${nodeId} and child_index is not null and key <> all(${but})
       and status in ('pending', 'running', 'waiting', 'retrying')
    returning key, job_id as "jobId", child_run_id as "childRunId", approval_id as "approvalId"`)

/** What the children of a node gave, in the order of their index; with `last` the last one alone. What is beyond `mostBytes` is left out. */
export const childOutputs = (
  tx: Tx,
  runId: string,
  nodeId: string,
  { last, mostBytes }: { last: boolean; mostBytes: number },
): Promise<{ output: string | null; resultPtr: string | null; omitted: boolean }[]> =>
  last
    ? tx.many(sql`
        select output::text as output, result_ptr as "resultPtr", false as omitted from run_steps
         where run_id = ${runId} and node_id = ${nodeId} and child_index is not null order by child_index desc limit 1`)
    : tx.many(sql`
        select case when so_far <= ${mostBytes} then output::text end as output, result_ptr as "resultPtr",
          output is not null and so_far > ${mostBytes} as omitted
        from (select child_index, output, result_ptr, sum(pg_column_size(output)) over (order by child_index) as so_far from run_steps
               where run_id = ${runId} and node_id = ${nodeId} and child_index is not null) c
        order by child_index`)
