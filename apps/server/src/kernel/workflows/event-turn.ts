import type { PlanGraph } from './plan-graph.ts'
import { graphOf, nodeOf } from './plan-graph.ts'
import type { Plan, PlanNode } from './plan.ts'
import type { Effect, RunState, RunStatus, StepRun, StepStatus, TimelineEvent } from './state.ts'
import type { World } from './world.ts'

/** One event's work: the private copy of the run that it changes, and the effects that it gathers. */
export interface EventTurn {
  readonly plan: Plan
  readonly graph: PlanGraph
  readonly run: RunState
  readonly world: World
  readonly effects: Effect[]
  /** A step of the plan has begun or ended: others may be ready now. */
  moved: boolean
}

export const openTurn = (plan: Plan, run: RunState, world: World): EventTurn => ({
  plan,
  graph: graphOf(plan),
  run,
  world,
  effects: [],
  moved: false,
})

/** States that a run never leaves. */
export const TERMINAL: ReadonlySet<RunStatus> = new Set(['succeeded', 'failed', 'timed_out', 'cancelled'])

const ENDED_STEPS: readonly StepStatus[] = ['succeeded', 'failed', 'timed_out', 'cancelled', 'skipped']
export const stepEnded = ({ status }: StepRun): boolean => ENDED_STEPS.includes(status)
export const runEnded = ({ status }: RunState): boolean => TERMINAL.has(status)

/** Has begun and not ended. */
export const stepActive = (step: StepRun): boolean => step.status !== 'pending' && !stepEnded(step)

export const isChild = (step: StepRun): boolean => step.index !== undefined

export const nodeOfStep = (turn: EventTurn, step: StepRun): PlanNode => nodeOf(turn.plan, step.nodeId)

/** The row of a plan's node. Throws where it is missing: a run has one for each from its beginning. */
export function stepOf(turn: EventTurn, id: string): StepRun {
  const step = turn.run.steps.get(id)
  if (!step) throw new Error(`Run ${turn.run.id} has no step ${id}`)
  return step
}

export function tell(turn: EventTurn, event: TimelineEvent): void {
  turn.effects.push({ kind: 'timeline', event })
}
