import { beginStep } from './begin-step.ts'
import { skip } from './end-step.ts'
import { evaluate, ExpressionError } from './expressions.ts'
import { hasRoom, isUnhandled, phaseOf, verdictOf } from './readiness.ts'
import { scopeOf } from './scope.ts'
import type { RunStatus, StepError, StepRun } from './state.ts'
import { isChild, nodeOfStep, runEnded, stepActive, stepEnded, stepOf, tell } from './event-turn.ts'
import type { EventTurn } from './event-turn.ts'

type RunEnd = 'succeeded' | 'failed' | 'timed_out' | 'cancelled'

/** Begins and skips all that can be, and ends the run when nothing is left. Ready steps begin in the order of their ids (release.md 18.4). */
export function settle(turn: EventTurn): void {
  while (turn.moved && !runEnded(turn.run)) {
    turn.moved = false
    if (endAtOnce(turn)) return
    const ready: string[] = []
    const phase = phaseOf(turn)
    for (const id of turn.graph.order) {
      const step = stepOf(turn, id)
      if (step.status !== 'pending') continue
      const verdict = verdictOf(turn, id, phase)
      if (verdict === 'ready') ready.push(id)
      else if (verdict !== 'wait') skip(turn, step, verdict.skip)
    }
    for (const id of ready.toSorted()) {
      if (!hasRoom(turn, id)) continue
      beginStep(turn, stepOf(turn, id))
      if (endAtOnce(turn)) return
      // A failure says anew what may begin.
      if (phaseOf(turn).failing !== phase.failing) break
    }
  }
  if (runEnded(turn.run)) return
  if (turn.graph.order.every((id) => stepEnded(stepOf(turn, id)))) return endWhole(turn)
  const waits = turn.graph.order.some((id) => stepOf(turn, id).status === 'waiting')
  setStatus(turn, waits ? 'waiting' : 'running')
}

/** jobs.md 21.7: the first failure that nobody handles ends the run, and what still runs is cancelled. */
function endAtOnce(turn: EventTurn): boolean {
  if (turn.plan.failure !== 'cancel') return false
  const end = failureOf(turn)
  if (!end) return false
  endRun(turn, end, turn.run.error, 'workflow run failed')
  return true
}

function failureOf(turn: EventTurn): 'failed' | 'timed_out' | undefined {
  const failures = turn.graph.order.map((id) => stepOf(turn, id)).filter(isUnhandled)
  if (!failures.length) return undefined
  return failures.every(({ status }) => status === 'timed_out') ? 'timed_out' : 'failed'
}

function endWhole(turn: EventTurn): void {
  const end = failureOf(turn)
  // release.md 18.4 knows a run only as failed when one of its steps timed out.
  if (end) return endRun(turn, turn.plan.dialect === 'jobs' ? end : 'failed', turn.run.error, 'workflow run failed')
  try {
    turn.run.output = outputOf(turn)
    endRun(turn, 'succeeded', undefined, '')
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    endRun(turn, 'failed', { message: `outputs: ${error.message}`, code: 'expression_error' }, '')
  }
}

function outputOf(turn: EventTurn): Record<string, unknown> {
  const { outputs } = turn.plan
  if (outputs) {
    const scope = scopeOf(turn.plan, turn.run, turn.world)
    return Object.fromEntries(Object.entries(outputs).map(([name, text]) => [name, evaluate(text, scope)]))
  }
  const leaves = turn.graph.leaves.map((id) => stepOf(turn, id)).filter(({ status }) => status === 'succeeded')
  return Object.fromEntries(leaves.map((step) => [step.key, step.output ?? null]))
}

/** The run is over: whatever still runs is cancelled, and what has not begun never will. */
export function endRun(turn: EventTurn, status: RunEnd, error: StepError | undefined, reason: string): void {
  for (const step of turn.run.steps.values()) {
    if (stepEnded(step)) continue
    if (stepActive(step)) stop(turn, step, reason)
    else if (turn.plan.dialect === 'release') {
      step.skipReason = 'run_ended'
      step.status = 'skipped'
    } else step.status = 'cancelled'
    step.completedAt = turn.world.now
  }
  if (status === 'succeeded') delete turn.run.error
  else if (error) turn.run.error = error
  turn.run.completedAt = turn.world.now
  setStatus(turn, status)
}

function stop(turn: EventTurn, step: StepRun, reason: string): void {
  const { kind } = nodeOfStep(turn, step).action
  if (takeBack(turn, step)) {
    delete step.jobId
    delete step.childRunId
  } else if (step.children) turn.effects.push({ kind: 'cancel-children', step: step.key, reason })
  else if (kind === 'approval' || kind === 'form') turn.effects.push({ kind: 'withdraw', step: step.key })
  if (step.jobId !== undefined) turn.effects.push({ kind: 'cancel-job', jobId: step.jobId, reason })
  if (step.childRunId !== undefined) turn.effects.push({ kind: 'cancel-run', runId: step.childRunId, reason })
  step.status = 'cancelled'
  delete step.nextAttemptAt
  if (!isChild(step)) tell(turn, { type: 'step_cancelled', step: step.key, status: 'cancelled', message: reason })
}

/** What this very event began need not be begun and cancelled: true where the step's work was still among the effects. */
function takeBack(turn: EventTurn, { key }: StepRun): boolean {
  const began = ['submit', 'start-run', 'ask', 'make-children']
  if (!turn.effects.some((effect) => began.includes(effect.kind) && 'step' in effect && effect.step === key))
    return false
  const kept = turn.effects.filter((effect) =>
    effect.kind === 'timeline'
      ? effect.event.step !== key || !['step_dispatched', 'step_waiting'].includes(effect.event.type)
      : !('step' in effect) || effect.step !== key,
  )
  turn.effects.splice(0, turn.effects.length, ...kept)
  return true
}

function setStatus(turn: EventTurn, status: RunStatus): void {
  if (turn.run.status === status) return
  turn.run.status = status
  const message = turn.run.error?.message
  tell(turn, { type: 'run_status', status, ...(message === undefined ? {} : { message }) })
}
