import type { ChildStepRun, StepRun, WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { count, instant, span } from '../../ui/age.ts'
import type { GraphEdge, GraphNode } from '../../ui/graph.tsx'
import type { Status } from '../../ui/status.tsx'
import type { WaterfallRow } from '../../ui/waterfall.tsx'
import { kindIcon, kindWords } from './kind-words.ts'

type RunStatus = WorkflowRun['status']
export type PlanShape = {
  nodes: { id: string; name: string; kind: string; topic?: string; layer: number; each: boolean; loop: boolean }[]
  edges: { from: string; to: string; on: 'success' | 'failure' | 'always'; condition?: string }[]
}

const RUNS: Record<RunStatus, { status: Status; word: string }> = {
  pending: { status: 'off', word: 'Not begun' },
  running: { status: 'running', word: 'Running' },
  waiting: { status: 'waiting', word: 'Waits' },
  succeeded: { status: 'ok', word: 'Done' },
  failed: { status: 'failed', word: 'Failed' },
  cancelled: { status: 'off', word: 'Cancelled' },
  timed_out: { status: 'failed', word: 'Timed out' },
}

/** How a run is, in the vocabulary. */
export function runState(status: RunStatus): { status: Status; word: string } {
  return RUNS[status] ?? { status: 'unknown', word: status }
}

export function hasEnded(status: RunStatus): boolean {
  return status === 'succeeded' || status === 'failed' || status === 'cancelled' || status === 'timed_out'
}

/** How a step is. A skipped one is not green: nothing was done. */
export function stepState(step: ChildStepRun | StepRun | undefined): { status: Status; word: string } {
  if (!step) return { status: 'off', word: 'Not begun' }
  if (step.skipped)
    return { status: 'off', word: step.skip_reason ? `Skipped: ${skipWords(step.skip_reason)}` : 'Skipped' }
  if (step.retrying) return { status: 'warning', word: 'Will be tried again' }
  if (step.status === 'succeeded' && (step.attempts ?? 1) > 1)
    return { status: 'warning', word: `Done at try ${step.attempts}` }
  return runState(step.status)
}

const SKIPS: Record<string, string> = {
  condition_false: 'its condition was false',
  upstream_failed: 'a step before it failed',
  upstream_skipped: 'a step before it was skipped',
  not_chosen: 'another branch was chosen',
  run_ended: 'the run had ended',
}
const skipWords = (reason: string) => SKIPS[reason] ?? reason

/** How long a step took, or takes by now. */
export function stepTook(step: ChildStepRun | StepRun | undefined, now: number): string {
  const from = instant(step?.started_at)
  if (!step || from === undefined || step.skipped) return ''
  return span((instant(step.completed_at) ?? now) - from)
}

/** The graph of a run, or without one of its definition. */
export function graphOf(
  plan: PlanShape,
  run: WorkflowRun | undefined,
  now: number,
): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const steps = run?.steps ?? {}
  const nodes = plan.nodes.map((node): GraphNode => {
    const step = steps[node.id]
    if (!run) {
      const fact = node.topic ? node.topic.replace(/^job\./, '') : kindWords(node.kind)
      return {
        id: node.id,
        name: node.name || node.id,
        status: 'off',
        icon: kindIcon(node.kind),
        word: kindWords(node.kind),
        fact,
      }
    }
    const { status, word } = stepState(step)
    const counts = step?.children_counts
    return {
      id: node.id,
      name: node.name || node.id,
      status,
      word,
      fact: factOf(step, word, now),
      ...(counts && counts.total > 1 ? { marks: marksOf(counts) } : {}),
    }
  })
  const edges = plan.edges.map(({ from, to, on }): GraphEdge => {
    const label = on === 'failure' ? 'on failure' : on === 'always' ? 'always' : undefined
    return { from, to, state: run ? edgeState(steps[from], steps[to]) : 'planned', ...(label ? { label } : {}) }
  })
  return { nodes, edges }
}

function factOf(step: StepRun | undefined, word: string, now: number): string {
  if (!step) return word
  const time = stepTook(step, now)
  if (step.status === 'waiting' && step.approval_id) return time ? `asked ${time} ago` : 'asked'
  return time ? `${word.toLowerCase()}, ${time}` : word
}

function edgeState(from: StepRun | undefined, to: StepRun | undefined): GraphEdge['state'] {
  if (to?.skipped) return 'dead'
  if (to?.status === 'running' || to?.status === 'waiting') return from?.completed_at ? 'active' : 'planned'
  return to?.started_at && from?.completed_at ? 'done' : 'planned'
}

/** One mark an item, as far as there is room; the counts are exact, the order is not. */
function marksOf(counts: { total: number; begun: number; succeeded: number; failed: number }): Status[] {
  const most = 12
  const scale = counts.total > most ? most / counts.total : 1
  const part = (value: number) => (value === 0 ? 0 : Math.max(1, Math.round(value * scale)))
  const running = counts.begun - counts.succeeded - counts.failed
  const marks: Status[] = [
    ...Array<Status>(part(counts.succeeded)).fill('ok'),
    ...Array<Status>(part(counts.failed)).fill('failed'),
    ...Array<Status>(part(Math.max(0, running))).fill('running'),
  ].slice(0, most)
  return [...marks, ...Array<Status>(Math.max(0, Math.min(counts.total, most) - marks.length)).fill('off')]
}

/** `8 of 12 done, 1 failed`. */
export function childWords({ total, succeeded, failed }: { total: number; succeeded: number; failed: number }): string {
  return `${count(succeeded)} of ${count(total)} done${failed > 0 ? `, ${count(failed)} failed` : ''}`
}

/** The steps in the order of time, then of the plan: those that began by their beginning, the others after them. */
export function stepOrder(plan: PlanShape, run: Pick<WorkflowRun, 'steps'>): PlanShape['nodes'] {
  const began = (id: string) => instant(run.steps?.[id]?.started_at) ?? Number.POSITIVE_INFINITY
  return plan.nodes.toSorted((a, b) => {
    const [one, other] = [began(a.id), began(b.id)]
    return one === other ? a.layer - b.layer : one - other
  })
}

/** The step to look at first: one that waits, that failed, that runs; else the last that ended. */
export function firstStep(plan: PlanShape, run: Pick<WorkflowRun, 'steps'>): string | undefined {
  const order = stepOrder(plan, run)
  for (const status of ['waiting', 'failed', 'timed_out', 'running'] as const) {
    const found = order.find(({ id }) => run.steps?.[id]?.status === status)
    if (found) return found.id
  }
  const ended = order.filter(({ id }) => run.steps?.[id]?.completed_at !== undefined && !run.steps[id].skipped)
  return (ended.at(-1) ?? order[0])?.id
}

/** Who did what when: steps in the order of time and plan, children under theirs. */
export function waterfallOf(plan: PlanShape, run: WorkflowRun, now: number): WaterfallRow[] {
  const began = instant(run.started_at) ?? instant(run.created_at) ?? now
  return stepOrder(plan, run).flatMap((node) => {
    const step = run.steps?.[node.id]
    if (!step) return []
    const children = Object.entries(step.children ?? {}).toSorted(([, a], [, b]) => (a.index ?? 0) - (b.index ?? 0))
    return [
      rowOf(node.id, node.name || node.id, step, began, now, 0),
      ...children.map(([key, child]) => rowOf(key, itemWords(child) || key, child, began, now, 1)),
    ]
  })
}

function rowOf(
  id: string,
  name: string,
  step: ChildStepRun | StepRun,
  began: number,
  now: number,
  depth: number,
): WaterfallRow {
  const { status, word } = stepState(step)
  const from = instant(step.started_at)
  const to = instant(step.completed_at)
  const again = instant(step.next_attempt_at)
  const waits = step.status === 'waiting'
  return {
    id,
    status,
    name,
    depth,
    mono: depth > 0,
    took: step.skipped ? 'skipped' : from === undefined ? '' : span((to ?? now) - from),
    bars:
      from === undefined || step.skipped
        ? again === undefined
          ? []
          : [{ from: began, to: again, status: 'off', kind: 'planned', words: `${name}, again` }]
        : [
            {
              from,
              to,
              status,
              kind: waits || (step.approval_id !== undefined && step.job_id === undefined) ? 'waited' : 'worked',
              words: `${name}, ${word}`,
            },
          ],
  }
}

/** An item of a fan-out in a few words. */
export function itemWords(step: ChildStepRun): string {
  const { item } = step
  if (item === undefined) return ''
  const text = typeof item === 'string' ? item : JSON.stringify(item)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

const EVENTS: Record<string, string> = {
  step_dispatched: 'began',
  step_completed: 'ended',
  step_output_invalid: 'gave what its schema refuses',
  step_waiting: 'waits for a person',
  step_approved: 'was approved',
  step_rejected: 'was rejected',
  step_condition_evaluated: 'was decided',
  step_condition_failed: 'could not be decided',
  step_delay_started: 'began to wait',
  step_delay_completed: 'has waited',
  step_delay_failed: 'could not wait',
  step_event_emitted: 'told',
  step_event_failed: 'could not tell',
  step_retry_scheduled: 'will be tried again',
  step_skipped: 'was skipped',
}

const RUN_EVENTS: Record<string, string> = {
  pending: 'was asked for',
  running: 'runs',
  waiting: 'waits',
  succeeded: 'is done',
  failed: 'failed',
  cancelled: 'was cancelled',
  timed_out: 'took too long',
}
const STEP_ENDS: Record<string, string> = {
  succeeded: 'is done',
  failed: 'failed',
  cancelled: 'was cancelled',
  timed_out: 'took too long',
}

/** What a line of the timeline says of its step, or of the run. */
export function eventWords(type: string, status?: string): string {
  const said =
    type === 'run_status' ? RUN_EVENTS[status ?? ''] : type === 'step_completed' ? STEP_ENDS[status ?? ''] : undefined
  return (
    said ?? [EVENTS[type] ?? type.replaceAll('_', ' '), type === 'run_status' ? status : ''].filter(Boolean).join(' ')
  )
}

/** The shape before a line of the timeline. */
export function eventStatus(type: string, status: string | undefined): Status {
  if (status && status in RUNS) return runState(status as RunStatus).status
  if (type.endsWith('_failed') || type === 'step_rejected' || type === 'step_output_invalid') return 'failed'
  if (type === 'step_waiting' || type === 'step_delay_started') return 'waiting'
  if (type === 'step_retry_scheduled') return 'warning'
  if (type === 'step_skipped') return 'off'
  return type === 'step_dispatched' ? 'running' : 'ok'
}

/** A line about a step with its name in place of the id that it begins with. */
export function named(line: string, plan: PlanShape): string {
  const id = line.slice(0, line.indexOf(' '))
  const name = plan.nodes.find((node) => node.id === id)?.name
  return name && name !== id ? `“${name}”${line.slice(id.length)}` : line
}
