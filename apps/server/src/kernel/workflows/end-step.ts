import { sizeOf } from './expression-values.ts'
import { evaluate, ExpressionError, truthy } from './expressions.ts'
import { nodeOf } from './plan-graph.ts'
import type { PlanNode } from './plan.ts'
import { scopeOf } from './scope.ts'
import type { RunState, StepError, StepRun } from './state.ts'
import { isChild, nodeOfStep, runEnded, stepEnded, stepOf, tell } from './event-turn.ts'
import type { EventTurn } from './event-turn.ts'

/** It is written whole whenever it changes. */
const MAX_CONTEXT_BYTES = 4 * 1024 * 1024

export interface Failure extends StepError {
  readonly status: 'failed' | 'timed_out' | 'cancelled'
  /** Whether the same again may turn out otherwise: not so for expressions, schemas and people's decisions. */
  readonly retriable: boolean
}

export const finalFailure = (message: string, code: string): Failure => ({
  status: 'failed',
  message,
  code,
  retriable: false,
})

/** The step succeeds, unless its output does not fit its schema. What is too large to be inlined is not validated (jobs.md 21.5). */
export function succeed(
  turn: EventTurn,
  step: StepRun,
  result: { readonly output?: unknown; readonly resultPtr?: string },
): void {
  const node = nodeOfStep(turn, step)
  // With children, it is their outputs that the schema describes.
  const problem =
    node.outputSchema && result.output !== undefined && !step.children
      ? turn.world.validate(node.outputSchema, result.output)
      : undefined
  if (problem !== undefined) {
    tell(turn, { type: 'step_output_invalid', step: step.key, message: problem })
    return fail(turn, step, finalFailure(`The output does not fit its schema: ${problem}`, 'output_invalid'))
  }
  if (result.output === undefined) delete step.output
  else step.output = result.output
  if (result.resultPtr === undefined) delete step.resultPtr
  else step.resultPtr = result.resultPtr
  if (!isChild(step)) {
    const before = turn.run.context
    writeContext(turn.run, node, step)
    const unfit = turn.run.context === before ? undefined : contextProblem(turn.run)
    if (unfit !== undefined) {
      turn.run.context = before
      return fail(turn, step, finalFailure(unfit, 'limit_exceeded'))
    }
  }
  close(turn, step, 'succeeded')
  answerEdges(turn, step)
  tell(turn, {
    type: 'step_completed',
    step: step.key,
    status: 'succeeded',
    ...(step.jobId === undefined ? {} : { jobId: step.jobId }),
    ...(step.resultPtr === undefined ? {} : { resultPtr: step.resultPtr }),
  })
  if (isChild(step)) childEnded(turn, step)
}

/** The step fails: tried again where that may help and its retries allow, else handled as `on_error` says. */
export function fail(turn: EventTurn, step: StepRun, failure: Failure): void {
  const node = nodeOfStep(turn, step)
  const { status, message, code, retriable } = failure
  const error: StepError = code === undefined ? { message } : { message, code }
  step.error = error
  if (retriable && !step.children && step.attempts <= node.retry.maxRetries) return retryLater(turn, step, node)
  close(turn, step, status)
  const handled = !isChild(step) && status !== 'cancelled' && isHandled(turn, node)
  if (handled) step.handled = true
  answerEdges(turn, step)
  tell(turn, {
    type: 'step_completed',
    step: step.key,
    status,
    message,
    ...(step.jobId === undefined ? {} : { jobId: step.jobId }),
  })
  if (isChild(step)) childEnded(turn, step)
  else if (!handled) turn.run.error ??= error
}

/** A step that does not run: its condition is false, or what leads to it came to nothing. */
export function skip(turn: EventTurn, step: StepRun, reason: NonNullable<StepRun['skipReason']>): void {
  step.skipReason = reason
  close(turn, step, 'skipped')
  tell(turn, { type: 'step_skipped', step: step.key, status: 'skipped', data: { reason } })
}

function close(turn: EventTurn, step: StepRun, status: StepRun['status']): void {
  step.status = status
  step.completedAt = turn.world.now
  delete step.nextAttemptAt
  if (status === 'succeeded') delete step.error
  if (!isChild(step)) turn.moved = true
}

function isHandled(turn: EventTurn, { onError }: PlanNode): boolean {
  if (onError.kind !== 'goto') return onError.kind === 'continue'
  // A step that was passed over because the run fails cannot stand in any more; one that declines by its own condition has been asked.
  return stepOf(turn, onError.to).skipReason !== 'run_ended'
}

function retryLater(turn: EventTurn, step: StepRun, { retry }: PlanNode): void {
  const wait = Math.min(retry.firstMs * retry.multiplier ** (step.attempts - 1), retry.maxMs)
  const at = turn.world.now + Math.round(wait)
  step.status = 'retrying'
  step.nextAttemptAt = at
  // Whatever still comes of this attempt is of no account.
  delete step.jobId
  delete step.childRunId
  turn.effects.push({ kind: 'timer', step: step.key, purpose: 'retry', attempt: step.attempts, at })
  tell(turn, {
    type: 'step_retry_scheduled',
    step: step.key,
    message: step.error?.message ?? '',
    data: { attempt: step.attempts, delay_ms: at - turn.world.now },
  })
}

/** Conditions of edges are asked once, when their source has ended; one that cannot be answered is false. */
function answerEdges(turn: EventTurn, step: StepRun): void {
  if (isChild(step)) return
  for (const edge of turn.graph.from.get(step.nodeId) ?? []) {
    if (edge.condition === undefined) continue
    const answer = questionOf(turn, edge.condition, step, edge.to)
    step.edges = { ...step.edges, [edge.at]: answer }
  }
}

function questionOf(turn: EventTurn, condition: string, step: StepRun, to: string): boolean {
  try {
    return truthy(evaluate(condition, scopeOf(turn.plan, turn.run, turn.world)))
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    tell(turn, { type: 'step_condition_failed', step: step.key, message: error.message, data: { to } })
    return false
  }
}

/** jobs.md 21.5: a dot path in the run's context; the pointer where the output is too large. */
function writeContext(run: RunState, { outputPath }: PlanNode, step: StepRun): void {
  if (outputPath === undefined) return
  const path = outputPath.split('.')
  const last = path.pop() as string
  // New along the path alone: values are never changed in place.
  const context = { ...run.context }
  let into: Record<string, unknown> = context
  for (const name of path) {
    const next = Object.hasOwn(into, name) ? into[name] : undefined
    const inner = typeof next === 'object' && next !== null && !Array.isArray(next) ? { ...next } : {}
    into[name] = inner
    into = inner as Record<string, unknown>
  }
  into[last] = step.output ?? step.resultPtr ?? null
  run.context = context
}

function contextProblem({ context }: RunState): string | undefined {
  try {
    if (sizeOf(context, MAX_CONTEXT_BYTES) <= MAX_CONTEXT_BYTES) return undefined
    return 'The context of the run would be larger than 4 MiB'
  } catch (error) {
    if (error instanceof ExpressionError) return `The context of the run: ${error.message}`
    throw error
  }
}

/** Counts a child's end, and goes on with its parent: the next child, the next iteration, or the parent's own end. */
function childEnded(turn: EventTurn, child: StepRun): void {
  const parent = stepOf(turn, child.nodeId)
  const { children } = parent
  if (!children || stepEnded(parent) || runEnded(turn.run)) return
  if (child.status === 'succeeded') children.succeeded++
  else {
    children.failed++
    const { message = child.status, code } = child.error ?? {}
    children.firstError ??= { message: `${child.key}: ${message}`, ...(code === undefined ? {} : { code }) }
  }
  const node = nodeOf(turn.plan, child.nodeId)
  if (node.loop) nextIteration(turn, parent, child, node.loop)
  else nextChild(turn, parent, node.each)
}

function nextChild(turn: EventTurn, parent: StepRun, each: PlanNode['each']): void {
  const counts = parent.children
  if (!counts) return
  const ended = counts.succeeded + counts.failed
  if (counts.failed > 0 && (each?.failFast || ended === counts.total)) {
    if (ended < counts.total) {
      turn.effects.push({ kind: 'cancel-children', step: parent.key, reason: 'another item failed' })
    }
    return failParent(turn, parent)
  }
  if (ended === counts.total) turn.effects.push({ kind: 'collect-children', step: parent.key })
  else if (each?.maxParallel && counts.begun < counts.total) {
    turn.effects.push({ kind: 'begin-children', step: parent.key, count: 1 })
  }
}

function nextIteration(turn: EventTurn, parent: StepRun, child: StepRun, loop: NonNullable<PlanNode['loop']>): void {
  const counts = parent.children
  if (!counts) return
  if (child.status !== 'succeeded') return failParent(turn, parent)
  const { output, resultPtr, index = 0 } = child
  const result = { ...(output === undefined ? {} : { output }), ...(resultPtr === undefined ? {} : { resultPtr }) }
  let again: boolean
  try {
    const local = { output: output ?? null, index, iteration: index + 1 }
    again = truthy(evaluate(loop.while, scopeOf(turn.plan, turn.run, turn.world, local)))
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    return fail(turn, parent, finalFailure(`The condition of the loop: ${error.message}`, 'expression_error'))
  }
  if (!again) return succeed(turn, parent, result)
  if (counts.total >= loop.maxIterations) {
    const message = `The condition still holds after ${counts.total} iterations, the most that are allowed`
    return fail(turn, parent, finalFailure(message, 'loop_limit'))
  }
  Object.assign(parent, result)
  beginIteration(turn, parent)
}

/** The row of a loop's next iteration, and its begin. */
export function beginIteration(turn: EventTurn, parent: StepRun): void {
  const counts = (parent.children ??= { total: 0, begun: 0, succeeded: 0, failed: 0 })
  turn.effects.push(
    { kind: 'make-children', step: parent.key, items: [null], from: counts.total },
    { kind: 'begin-children', step: parent.key, count: 1 },
  )
  counts.total++
}

function failParent(turn: EventTurn, parent: StepRun): void {
  const { message, code } = parent.children?.firstError ?? { message: 'a child failed', code: undefined }
  fail(turn, parent, finalFailure(message, code ?? 'child_failed'))
}
