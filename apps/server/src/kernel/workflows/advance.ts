import { attempt, delayOver } from './begin-step.ts'
import { fail, finalFailure, succeed } from './end-step.ts'
import type { Failure } from './end-step.ts'
import type { Plan, PlanNode } from './plan.ts'
import { endRun, settle } from './settle.ts'
import type { Effect, RunEvent, RunState, StepRun } from './state.ts'
import { isChild, nodeOfStep, openTurn, runEnded, stepEnded, tell } from './event-turn.ts'
import type { EventTurn } from './event-turn.ts'
import type { World } from './world.ts'

/** Every step of a plan before it has begun. */
export const freshSteps = (plan: Plan): StepRun[] =>
  Object.keys(plan.nodes).map((id) => ({ key: id, nodeId: id, status: 'pending', attempts: 0 }))

/**
 * Takes in what happened: changes `run`, a private copy, and says what is to be done about it. An event that was taken in, that came too late
 * or that is about an earlier attempt changes nothing and gives no effects. Never throws for what a definition or a worker says: a bad
 * expression fails its step. Steps that ended never change, and neither do runs.
 */
export function advance(plan: Plan, run: RunState, event: RunEvent, world: World): Effect[] {
  if (runEnded(run)) return []
  const turn = openTurn(plan, run, world)
  switch (event.kind) {
    case 'start':
      start(turn)
      break
    case 'cancel':
      endRun(turn, 'cancelled', { message: event.reason, code: 'cancelled' }, 'workflow run cancelled')
      break
    case 'run-timeout':
      runTimeout(turn)
      break
    default:
      if (run.status !== 'pending') onStep(turn, event)
  }
  settle(turn)
  return turn.effects
}

/** Begins one child that `begin-children` made room for. Gives no effects where its parent or the run has ended, or the child has begun. */
export function beginChild(plan: Plan, run: RunState, parent: StepRun, child: StepRun, world: World): Effect[] {
  if (runEnded(run) || run.status === 'pending' || stepEnded(parent) || !parent.children) return []
  if (child.status !== 'pending') return []
  const turn = openTurn(plan, run, world)
  run.steps.set(child.key, child)
  parent.children.begun++
  attempt(turn, child)
  settle(turn)
  return turn.effects
}

function start(turn: EventTurn): void {
  const { run, plan, world } = turn
  if (run.status !== 'pending') return
  run.status = 'running'
  run.startedAt = world.now
  turn.moved = true
  if (plan.timeoutMs !== undefined) turn.effects.push({ kind: 'run-timer', at: world.now + plan.timeoutMs })
  tell(turn, { type: 'run_status', status: 'running' })
}

function runTimeout(turn: EventTurn): void {
  const { timeoutMs } = turn.plan
  // The limit of the tenant's configuration stands in the timer alone.
  const limit = timeoutMs === undefined ? 'the configuration allows' : `its limit of ${timeoutMs / 1000} s`
  const message = `The run took longer than ${limit}`
  endRun(turn, 'timed_out', { message, code: 'run_timeout' }, 'workflow run timed out')
}

type StepEvent = Exclude<RunEvent, { kind: 'start' | 'cancel' | 'run-timeout' }>

function onStep(turn: EventTurn, event: StepEvent): void {
  const step = turn.run.steps.get(event.step)
  if (!step || stepEnded(step) || step.status === 'pending') return
  if (isChild(step)) {
    const parent = turn.run.steps.get(step.nodeId)
    if (!parent || stepEnded(parent)) return
  }
  switch (event.kind) {
    case 'job-ended':
      if (step.jobId === event.jobId && step.status === 'running') jobEnded(turn, step, event.end)
      return
    case 'run-ended':
      if (step.childRunId === event.runId && step.status === 'running') runEndedBelow(turn, step, event)
      return
    case 'decided':
      return decided(turn, step, event)
    case 'timer':
      if (step.attempts === event.attempt) timer(turn, step, event.purpose)
      return
    case 'children-collected':
      return collected(turn, step, event)
  }
}

function jobEnded(turn: EventTurn, step: StepRun, end: Extract<RunEvent, { kind: 'job-ended' }>['end']): void {
  if (end.kind === 'succeeded') return succeed(turn, step, end)
  fail(turn, step, {
    status: end.kind === 'denied' ? 'failed' : end.kind,
    message: end.message,
    code: end.code,
    // jobs.md 21.5: a denial is tried again as a failure is, a cancel never.
    retriable: end.kind !== 'cancelled',
  })
}

function runEndedBelow(turn: EventTurn, step: StepRun, event: Extract<RunEvent, { kind: 'run-ended' }>): void {
  const { status, output, error } = event
  if (status === 'succeeded') return succeed(turn, step, output === undefined ? {} : { output })
  const failure: Failure = {
    status,
    message: error?.message ?? `the sub-run ended as ${status}`,
    ...(error?.code === undefined ? {} : { code: error.code }),
    retriable: status !== 'cancelled',
  }
  fail(turn, step, failure)
}

function decided(turn: EventTurn, step: StepRun, event: Extract<RunEvent, { kind: 'decided' }>): void {
  const node = nodeOfStep(turn, step)
  const form = node.action.kind === 'form'
  if (step.status !== 'waiting' || (node.action.kind !== 'approval' && !form)) return
  if (!event.approved) {
    tell(turn, { type: 'step_rejected', step: step.key, message: `rejected by ${event.by}` })
    return fail(turn, step, finalFailure(`Rejected by ${event.by}`, 'approval_rejected'))
  }
  const problem = form && node.inputSchema ? turn.world.validate(node.inputSchema, event.value ?? null) : undefined
  if (problem !== undefined) {
    // It goes on waiting: the door refuses such values, so that who gave it hears of it.
    tell(turn, { type: 'step_input_invalid', step: step.key, message: problem })
    return
  }
  tell(turn, { type: 'step_approved', step: step.key, message: `approved by ${event.by}` })
  const value = form ? (event.value ?? null) : event.value
  succeed(turn, step, value === undefined ? {} : { output: value })
}

function timer(turn: EventTurn, step: StepRun, purpose: 'delay' | 'retry' | 'timeout'): void {
  const node = nodeOfStep(turn, step)
  if (purpose === 'retry') {
    if (step.status === 'retrying') attempt(turn, step)
  } else if (purpose === 'delay') {
    if (step.status === 'waiting' && node.action.kind === 'delay') delayOver(turn, step)
  } else if (!step.children) timedOut(turn, step, node)
}

function timedOut(turn: EventTurn, step: StepRun, node: PlanNode): void {
  const { action } = node
  const reason = `The step took longer than its limit of ${(node.timeoutMs ?? 0) / 1000} s`
  if (step.status === 'running' && (action.kind === 'job' || action.kind === 'run')) {
    if (step.jobId !== undefined) turn.effects.push({ kind: 'cancel-job', jobId: step.jobId, reason })
    if (step.childRunId !== undefined) turn.effects.push({ kind: 'cancel-run', runId: step.childRunId, reason })
    return fail(turn, step, { status: 'timed_out', message: reason, code: 'timeout', retriable: true })
  }
  if (step.status !== 'waiting' || (action.kind !== 'approval' && action.kind !== 'form')) return
  turn.effects.push({ kind: 'withdraw', step: step.key })
  if (action.approval.onTimeout === 'approve' && action.kind === 'approval') {
    tell(turn, { type: 'step_approved', step: step.key, message: 'nobody decided in time' })
    return succeed(turn, step, {})
  }
  const message = 'Nobody decided in time'
  if (action.approval.onTimeout === 'reject') {
    tell(turn, { type: 'step_rejected', step: step.key, message })
    return fail(turn, step, finalFailure(message, 'approval_rejected'))
  }
  fail(turn, step, { status: 'timed_out', message, code: 'approval_timeout', retriable: false })
}

function collected(turn: EventTurn, step: StepRun, event: Extract<RunEvent, { kind: 'children-collected' }>): void {
  const { children } = step
  if (!children || children.failed > 0 || children.succeeded < children.total) return
  succeed(turn, step, {
    ...(event.output === undefined ? {} : { output: event.output }),
    ...(event.resultPtr === undefined ? {} : { resultPtr: event.resultPtr }),
  })
}
