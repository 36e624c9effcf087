import type { Numbered } from './plan-graph.ts'
import { nodeOf } from './plan-graph.ts'
import type { StepRun } from './state.ts'
import { stepActive, stepEnded, stepOf } from './event-turn.ts'
import type { EventTurn } from './event-turn.ts'

/** release.md 18.4: an ignored edge does not count, a blocking one keeps what it leads to from running. */
export type EdgeState = 'open' | 'satisfied' | 'ignored' | 'blocking'
export type Verdict = 'wait' | 'ready' | { readonly skip: NonNullable<StepRun['skipReason']> }

/** A failure that nobody handled: it fails the run. */
export const isUnhandled = (step: StepRun): boolean =>
  (step.status === 'failed' || step.status === 'timed_out' || step.status === 'cancelled') && !step.handled

export function edgeState(turn: EventTurn, edge: Numbered): EdgeState {
  const source = stepOf(turn, edge.from)
  if (!stepEnded(source)) return 'open'
  if (source.edges?.[edge.at] === false) return 'ignored'
  const { onError, skipCountsAs } = nodeOf(turn.plan, edge.from)
  if (source.status === 'skipped') {
    // jobs.md 21.2: a step whose condition is false counts as succeeded; one that was not reached or not chosen does not.
    const counts = source.skipReason === 'condition_false' && skipCountsAs === 'success' && edge.on === 'success'
    return counts ? 'satisfied' : 'ignored'
  }
  if (edge.on === 'always') return 'satisfied'
  const failed = source.status === 'failed' || source.status === 'timed_out'
  if (edge.on === 'failure') return failed ? 'satisfied' : 'ignored'
  if (source.status === 'succeeded') return 'satisfied'
  if (!source.handled) return 'blocking'
  return onError.kind === 'continue' ? 'satisfied' : 'ignored'
}

/** Whether a step that failed with `on_error: <id>` has sent the run here. */
export const isRescue = (turn: EventTurn, id: string): boolean =>
  (turn.graph.rescuedFrom.get(id) ?? []).some((source) => stepOf(turn, source).handled)

/** What becomes of a step that has not begun, as things stand. Limits on how many run at once are not looked at. */
export function verdictOf(turn: EventTurn, id: string, phase: Phase): Verdict {
  const verdict = reached(turn, id, phase)
  if (verdict !== 'ready') return verdict
  if (phase.failing && !phase.last && !isRecovery(turn, id)) {
    // Draining: nothing begins but along edges on failure or always. One of those may still open.
    const edges = turn.graph.into.get(id) ?? []
    return edges.some((edge) => edgeState(turn, edge) === 'open') ? 'wait' : { skip: 'run_ended' }
  }
  const { chosenBy } = nodeOf(turn.plan, id)
  if (chosenBy.some(({ node }) => !stepEnded(stepOf(turn, node)))) return 'wait'
  const chosen = chosenBy.every(({ node, branches }) => branches.includes(branchOf(turn, node)))
  return chosen ? 'ready' : { skip: 'not_chosen' }
}

export interface Phase {
  /** A step has failed, and nobody handled it. */
  readonly failing: boolean
  /** The graph has settled: the finally nodes run. */
  readonly last: boolean
}

export function phaseOf(turn: EventTurn): Phase {
  const ids = turn.graph.order
  return {
    failing: ids.some((id) => isUnhandled(stepOf(turn, id))),
    last: turn.graph.last.size > 0 && ids.every((id) => turn.graph.last.has(id) || stepEnded(stepOf(turn, id))),
  }
}

function reached(turn: EventTurn, id: string, phase: Phase): Verdict {
  if (isRescue(turn, id)) return 'ready'
  const on = turn.graph.finally.get(id)
  if (on !== undefined) {
    if (!phase.last) return 'wait'
    return on === 'always' || phase.failing ? 'ready' : { skip: 'not_chosen' }
  }
  if (turn.graph.entry.has(id)) return 'ready'
  const verdict = joined(turn, id)
  const rescuable = () => (turn.graph.rescuedFrom.get(id) ?? []).some((source) => !stepEnded(stepOf(turn, source)))
  return typeof verdict === 'object' && rescuable() ? 'wait' : verdict
}

function joined(turn: EventTurn, id: string): Verdict {
  const count = { open: 0, satisfied: 0, ignored: 0, blocking: 0 }
  for (const edge of turn.graph.into.get(id) ?? []) count[edgeState(turn, edge)]++
  const { join } = nodeOf(turn.plan, id)
  const never = { skip: count.blocking ? 'upstream_failed' : 'upstream_skipped' } as const
  if (join === 'all') {
    if (count.blocking) return never
    if (count.open) return 'wait'
    return count.satisfied ? 'ready' : count.ignored ? never : { skip: 'not_chosen' }
  }
  const wanted = join === 'any' ? 1 : Math.max(join.atLeast, 1)
  if (count.satisfied >= wanted) return 'ready'
  return count.satisfied + count.open >= wanted ? 'wait' : never
}

/** Whether the step may begin in a run that is failing: it is reached along an edge on failure or always, or follows one that was. */
function isRecovery(turn: EventTurn, id: string, seen = new Map<string, boolean>()): boolean {
  const known = seen.get(id)
  if (known !== undefined) return known
  seen.set(id, false)
  const answer =
    isRescue(turn, id) ||
    (turn.graph.into.get(id) ?? []).some(
      (edge) => edgeState(turn, edge) === 'satisfied' && (edge.on !== 'success' || isRecovery(turn, edge.from, seen)),
    )
  seen.set(id, answer)
  return answer
}

/** '' where the switch chose nothing, or was skipped itself. */
function branchOf(turn: EventTurn, id: string): string {
  const { output } = stepOf(turn, id)
  const branch = typeof output === 'object' && output !== null && 'branch' in output ? output.branch : undefined
  return typeof branch === 'string' ? branch : ''
}

/** Whether one more step may run beside those that do: of the run, and of each fork the node belongs to. */
export function hasRoom(turn: EventTurn, id: string): boolean {
  const { nodes, maxParallel } = turn.plan
  const active = turn.graph.order.filter((each) => stepActive(stepOf(turn, each)))
  // Waiting for people or for time takes no room in the run: it would keep others from running for days.
  if (active.filter((each) => stepOf(turn, each).status !== 'waiting').length >= maxParallel) return false
  return nodeOf(turn.plan, id).groups.every(
    ({ id: fork, limit }) =>
      active.filter((each) => nodes[each]?.groups.some((group) => group.id === fork)).length < limit,
  )
}
