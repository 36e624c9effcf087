import type { ChildStepRun, StepRun as ShownStep, WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { type Instant, iso, isoOrNull } from '../clock/index.ts'
import type { RunRow } from './run-rows.ts'
import type { RunStatus, StepRun, StepStatus } from './state.ts'

type Word = WorkflowRun['status']

/** How the jobs surface calls the states of a run (jobs.md 8). */
const RUN_WORDS: Readonly<Record<RunStatus, Word>> = {
  pending: 'pending',
  running: 'running',
  waiting: 'waiting',
  paused: 'waiting',
  cancelling: 'running',
  succeeded: 'succeeded',
  failed: 'failed',
  timed_out: 'timed_out',
  cancelled: 'cancelled',
}

/** A step that waits for its next attempt is `pending` (21.5), one that was skipped `succeeded` (21.2). */
const STEP_WORDS: Readonly<Record<StepStatus, Word>> = {
  pending: 'pending',
  running: 'running',
  waiting: 'waiting',
  retrying: 'pending',
  succeeded: 'succeeded',
  failed: 'failed',
  timed_out: 'timed_out',
  cancelled: 'cancelled',
  skipped: 'succeeded',
}

/** How the surface calls a step's state where it does not tell why it was skipped. */
export const stepWord = (status: StepStatus): Word => STEP_WORDS[status]

export const runWord = (status: RunStatus): Word => RUN_WORDS[status]

/** The states inside that the surface calls by this word; empty for a word that it does not know. */
export const runStatuses = (word: string): RunStatus[] =>
  (Object.keys(RUN_WORDS) as RunStatus[]).filter((status) => RUN_WORDS[status] === word.toLowerCase())

const objectOf = (value: unknown): Record<string, unknown> | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null

/** A step or child as jobs.md 8 shows it. */
export function shownChild(step: StepRun): ChildStepRun {
  const skipped = step.status === 'skipped'
  return {
    step_id: step.key,
    status: skipped && step.skipReason === 'run_ended' ? 'cancelled' : STEP_WORDS[step.status],
    ...(step.startedAt === undefined ? {} : { started_at: iso(step.startedAt) }),
    ...(step.completedAt === undefined ? {} : { completed_at: iso(step.completedAt) }),
    ...(step.nextAttemptAt === undefined ? {} : { next_attempt_at: iso(step.nextAttemptAt) }),
    ...(step.attempts === 0 ? {} : { attempts: step.attempts }),
    ...(step.input === undefined ? {} : { input: step.input }),
    ...(step.output === undefined ? {} : { output: step.output }),
    ...(step.error === undefined ? {} : { error: step.error }),
    ...(step.jobId === undefined ? {} : { job_id: step.jobId }),
    ...(step.item === undefined ? {} : { item: step.item }),
    ...(step.index === undefined ? {} : { index: step.index }),
    ...(step.resultPtr === undefined ? {} : { result_ptr: step.resultPtr }),
    ...(skipped ? { skipped: true } : {}),
    ...(step.skipReason === undefined ? {} : { skip_reason: step.skipReason }),
    ...(step.status === 'retrying' ? { retrying: true } : {}),
    ...(step.childRunId === undefined ? {} : { child_run_id: step.childRunId }),
    ...(step.approvalId === undefined ? {} : { approval_id: step.approvalId }),
  }
}

/** How many children a step has in each state; nothing of one without children. */
export const shownCounts = ({ children }: Pick<StepRun, 'children'>): Pick<ShownStep, 'children_counts'> =>
  children
    ? {
        children_counts: {
          total: children.total,
          begun: children.begun,
          succeeded: children.succeeded,
          failed: children.failed,
        },
      }
    : {}

function shownStep(step: StepRun, children: readonly StepRun[]): ShownStep {
  return {
    ...shownChild(step),
    ...(children.length === 0
      ? {}
      : { children: Object.fromEntries(children.map((child) => [child.key, shownChild(child)])) }),
    ...shownCounts(step),
  }
}

export interface ShownTimer {
  step: string
  purpose: string
  at: Instant
}

/**
 * A run as jobs.md 8 shows it. `steps` may hold children too: they stand under their step and, as documented, beside it. `whole`: with its
 * context and what its steps gave, which lists leave out.
 */
export function shownRun(
  row: RunRow,
  steps: readonly StepRun[],
  options: { whole: boolean; now: Instant; timers?: readonly ShownTimer[] },
): WorkflowRun {
  const { whole, now, timers = [] } = options
  const byNode = Map.groupBy(
    steps.filter(({ index }) => index !== undefined),
    ({ nodeId }) => nodeId,
  )
  const shown = steps.map((step): [string, ShownStep] => [
    step.key,
    shownStep(step, step.index === undefined ? (byNode.get(step.nodeId) ?? []) : []),
  ])
  const context = {
    ...row.context,
    steps: Object.fromEntries(
      steps
        .filter(({ output, resultPtr }) => output !== undefined || resultPtr !== undefined)
        .map(({ key, output, resultPtr }) => [
          key,
          {
            ...(resultPtr === undefined ? {} : { result_ptr: resultPtr }),
            ...(output === undefined ? {} : { output }),
          },
        ]),
    ),
  }
  return {
    id: row.id,
    workflow_id: row.workflowId,
    org_id: row.principal.tenantSlug,
    team_id: row.teamId,
    input: row.input,
    context: whole ? context : null,
    status: RUN_WORDS[row.status],
    started_at: isoOrNull(row.startedAt),
    completed_at: isoOrNull(row.completedAt),
    output: objectOf(row.output),
    error: objectOf(row.error),
    steps: Object.fromEntries(shown),
    total_cost: 0,
    triggered_by: row.triggeredBy,
    created_at: iso(row.createdAt),
    updated_at: iso(Math.floor(row.updatedUs / 1000)),
    labels: row.labels,
    metadata: row.metadata,
    ...(row.idempotencyKey === null ? {} : { idempotency_key: row.idempotencyKey }),
    ...(row.rerunOf === null ? {} : { rerun_of: row.rerunOf }),
    ...(row.rerunStep === null ? {} : { rerun_step: row.rerunStep }),
    ...(row.dryRun ? { dry_run: true } : {}),
    ...(timers.length === 0
      ? {}
      : {
          timers: timers.map(({ step, purpose, at }) => ({
            workflow_id: row.workflowId,
            run_id: row.id,
            ...(step === '' ? {} : { step_id: step }),
            purpose,
            fires_at: iso(at),
            remaining_ms: Math.max(0, at - now),
          })),
        }),
    revision: row.revision,
    ...(row.parentRunId === null ? {} : { parent_run_id: row.parentRunId }),
    ...(row.parentStep === null ? {} : { parent_step: row.parentStep }),
  }
}
