import { beginIteration, fail, finalFailure, skip, succeed } from './end-step.ts'
import { sizeOf } from './expression-values.ts'
import { evaluate, ExpressionError, print, truthy } from './expressions.ts'
import type { Action, PlanNode } from './plan.ts'
import { scopeOf } from './scope.ts'
import type { Local } from './scope.ts'
import type { StepRun } from './state.ts'
import { render } from './templates.ts'
import { isChild, nodeOfStep, stepOf, tell } from './event-turn.ts'
import type { EventTurn } from './event-turn.ts'

const MAX_ITEMS = 10_000
/** The items of a for_each may be many: each child's input has the usual limit. */
const MAX_ITEMS_BYTES = 16 * 1024 * 1024
/** Of all items of a step together. */
const MAX_INPUTS_BYTES = 128 * 1024 * 1024

/** A step of the plan is ready: it is skipped when its condition says so, else it begins, with children or by itself. */
export function beginStep(turn: EventTurn, step: StepRun): void {
  const node = nodeOfStep(turn, step)
  if (node.condition !== undefined) {
    const holds = answer(turn, step, node.condition, 'condition')
    if (holds === FAILED) return
    if (!truthy(holds)) return skip(turn, step, 'condition_false')
  }
  if (node.each) beginEach(turn, step, node.each)
  else if (node.loop) {
    open(turn, step)
    step.attempts = 1
    beginIteration(turn, step)
  } else attempt(turn, step)
}

/** One execution: of a step of the plan, or of a child. The input is evaluated the first time and then stays what it is. */
export function attempt(turn: EventTurn, step: StepRun): void {
  const node = nodeOfStep(turn, step)
  open(turn, step)
  step.attempts++
  delete step.nextAttemptAt
  if (takesInput(node.action) && !prepareInput(turn, step, node)) return
  perform(turn, step, node)
}

function open(turn: EventTurn, step: StepRun): void {
  step.status = 'running'
  step.startedAt ??= turn.world.now
  if (!isChild(step)) turn.moved = true
}

function beginEach(turn: EventTurn, step: StepRun, each: NonNullable<PlanNode['each']>): void {
  const items = answer(turn, step, each.items, 'for_each', MAX_ITEMS_BYTES)
  if (items === FAILED) return
  if (items !== null && !Array.isArray(items)) {
    return fail(turn, step, finalFailure('for_each gave no list', 'expression_error'))
  }
  const list: readonly unknown[] = items ?? []
  if (list.length > MAX_ITEMS) {
    return fail(
      turn,
      step,
      finalFailure(`for_each gave ${list.length} items; at most ${MAX_ITEMS} can run`, 'limit_exceeded'),
    )
  }
  open(turn, step)
  step.attempts = 1
  step.children = { total: list.length, begun: 0, succeeded: 0, failed: 0 }
  if (!list.length) return succeed(turn, step, { output: [] })
  const count = each.maxParallel > 0 ? Math.min(each.maxParallel, list.length) : list.length
  turn.effects.push(
    { kind: 'make-children', step: step.key, items: list },
    { kind: 'begin-children', step: step.key, count },
  )
}

const takesInput = ({ kind }: Action): boolean => !['condition', 'switch', 'delay', 'fork', 'fail'].includes(kind)

/** jobs.md 21.4: the evaluated templates, or the run's whole input; a child of a for_each finds its item in it. */
function prepareInput(turn: EventTurn, step: StepRun, node: PlanNode): boolean {
  if (step.input !== undefined) return true
  try {
    const input = inputOf(node, turn, localOf(turn, step, node))
    const much = tooMuch(turn, step, input)
    if (much !== undefined) {
      fail(turn, step, finalFailure(much, 'limit_exceeded'))
      return false
    }
    step.input = input
    const problem =
      node.inputSchema && node.action.kind !== 'form' ? turn.world.validate(node.inputSchema, input) : undefined
    if (problem === undefined) return true
    fail(turn, step, finalFailure(`The input does not fit its schema: ${problem}`, 'input_invalid'))
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    fail(turn, step, finalFailure(error.message, 'expression_error'))
  }
  return false
}

/** Each item's input is stored twice, with its step and with its job: many items with a large input would fill the disk. */
function tooMuch(turn: EventTurn, step: StepRun, input: unknown): string | undefined {
  const total = isChild(step) ? (stepOf(turn, step.nodeId).children?.total ?? 1) : 1
  const each = Math.floor(MAX_INPUTS_BYTES / total)
  // One alone is bounded by what made it.
  if (total < 100 || sizeOf(input, each) <= each) return undefined
  return `each of ${total} items would get an input of more than ${Math.floor(each / 1024)} KiB; give the step an input with what an item needs`
}

/** The input that a step of the node gets with what is known now. Throws an ExpressionError. */
export function inputOf(node: PlanNode, turn: Pick<EventTurn, 'plan' | 'run' | 'world'>, local: Local): unknown {
  const input =
    node.input === undefined ? turn.run.input : render(node.input, scopeOf(turn.plan, turn.run, turn.world, local))
  if (!('item' in local) || typeof input !== 'object' || input === null || 'item' in input) return input
  return { ...input, item: local.item }
}

function localOf(turn: EventTurn, step: StepRun, node: PlanNode): Local {
  const { index, item } = step
  if (index === undefined) return {}
  if (!node.loop) return { item, index }
  return { index, iteration: index + 1, output: stepOf(turn, step.nodeId).output ?? null }
}

const FAILED = Symbol('failed')

/** The value of an expression; where there is none, the step has failed. */
function answer(turn: EventTurn, step: StepRun, text: string, what: string, maxBytes?: number): unknown {
  try {
    return evaluate(text, scopeOf(turn.plan, turn.run, turn.world), maxBytes)
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    step.startedAt ??= turn.world.now
    tell(turn, { type: 'step_condition_failed', step: step.key, message: error.message })
    fail(turn, step, finalFailure(`${what}: ${error.message}`, 'expression_error'))
    return FAILED
  }
}

/** What reaches beyond the run: others see it, or do something for it. */
const ACTS: ReadonlySet<Action['kind']> = new Set(['job', 'run', 'approval', 'form', 'notify'])

function perform(turn: EventTurn, step: StepRun, node: PlanNode): void {
  const { action } = node
  const { refusal } = turn.world
  // Jobs of who is frozen are recorded and wait for their release, as all of theirs do.
  const waits = refusal?.code === 'principal_frozen' && action.kind === 'job'
  if (refusal && ACTS.has(action.kind) && !waits) {
    // Tried again as other denials are: a right may be given back.
    return fail(turn, step, { status: 'failed', ...refusal, retriable: true })
  }
  switch (action.kind) {
    case 'job':
      return submit(turn, step, node, action)
    case 'run':
      return startRun(turn, step, node, action)
    case 'approval':
    case 'form':
      return ask(turn, step, node, action.kind === 'form')
    case 'condition':
      return decide(turn, step, action.expression)
    case 'switch':
      return choose(turn, step, action)
    case 'delay':
      return wait(turn, step, action)
    case 'notify':
      return notify(turn, step, node)
    case 'transform':
      return succeed(turn, step, { output: step.input })
    case 'fork':
      return succeed(turn, step, {})
    case 'fail':
      return fail(turn, step, finalFailure(action.message, 'failed'))
  }
}

function submit(turn: EventTurn, step: StepRun, node: PlanNode, { job }: Extract<Action, { kind: 'job' }>): void {
  const jobId = `${turn.run.id}:${step.key}@${step.attempts}`
  step.jobId = jobId
  const forEach = node.each && isChild(step) ? { item: step.item, index: step.index as number } : {}
  turn.effects.push({
    kind: 'submit',
    step: step.key,
    jobId,
    attempt: step.attempts,
    job,
    input: step.input,
    ...(node.timeoutMs === undefined ? {} : { timeoutMs: node.timeoutMs }),
    ...forEach,
  })
  const data = isChild(step) ? { foreach_index: step.index } : undefined
  tell(turn, { type: 'step_dispatched', step: step.key, jobId, ...(data ? { data } : {}) })
}

function startRun(
  turn: EventTurn,
  step: StepRun,
  node: PlanNode,
  { workflowId }: Extract<Action, { kind: 'run' }>,
): void {
  const runId = turn.world.newId()
  step.childRunId = runId
  turn.effects.push({ kind: 'start-run', step: step.key, runId, workflowId, input: step.input })
  setTimer(turn, step, node)
  tell(turn, { type: 'step_dispatched', step: step.key, data: { run_id: runId, workflow_id: workflowId } })
}

function ask(turn: EventTurn, step: StepRun, node: PlanNode, form: boolean): void {
  step.status = 'waiting'
  const expiry = node.timeoutMs === undefined ? {} : { expiresAt: turn.world.now + node.timeoutMs }
  turn.effects.push({ kind: 'ask', step: step.key, input: step.input, ...expiry })
  setTimer(turn, step, node)
  tell(turn, { type: 'step_waiting', step: step.key, message: form ? 'value requested' : 'approval requested' })
}

function setTimer(turn: EventTurn, step: StepRun, node: PlanNode): void {
  if (node.timeoutMs === undefined) return
  const at = turn.world.now + node.timeoutMs
  turn.effects.push({ kind: 'timer', step: step.key, purpose: 'timeout', attempt: step.attempts, at })
}

function decide(turn: EventTurn, step: StepRun, expression: string): void {
  const value = answer(turn, step, expression, 'condition')
  if (value === FAILED) return
  tell(turn, { type: 'step_condition_evaluated', step: step.key, data: { value: truthy(value) } })
  succeed(turn, step, { output: truthy(value) })
}

function choose(
  turn: EventTurn,
  step: StepRun,
  { cases, otherwise, value }: Extract<Action, { kind: 'switch' }>,
): void {
  let found: unknown
  let branch: string | null = otherwise ?? null
  if (value !== undefined) {
    found = answer(turn, step, value, 'condition')
    if (found === FAILED) return
    if (print(found) !== '') branch = print(found)
  } else {
    for (const { name, when } of cases) {
      const holds = answer(turn, step, when, `case '${name}'`)
      if (holds === FAILED) return
      if (!truthy(holds)) continue
      branch = name
      break
    }
    found = branch
  }
  tell(turn, { type: 'step_condition_evaluated', step: step.key, data: { value: branch } })
  succeed(turn, step, { output: { branch, value: found } })
}

function wait(turn: EventTurn, step: StepRun, { ms = 0, until }: Extract<Action, { kind: 'delay' }>): void {
  const { now } = turn.world
  const at = until ?? now + Math.round(ms)
  tell(turn, { type: 'step_delay_started', step: step.key, data: { delay_ms: Math.max(0, at - now) } })
  if (at <= now) return delayOver(turn, step)
  step.status = 'waiting'
  turn.effects.push({ kind: 'timer', step: step.key, purpose: 'delay', attempt: step.attempts, at })
}

export function delayOver(turn: EventTurn, step: StepRun): void {
  tell(turn, { type: 'step_delay_completed', step: step.key })
  succeed(turn, step, {})
}

/** jobs.md 21.1: level, message, code and component are read from the input. */
function notify(turn: EventTurn, step: StepRun, node: PlanNode): void {
  const given = (key: string) => {
    const { input } = step
    if (typeof input !== 'object' || input === null || !Object.hasOwn(input, key)) return ''
    return print((input as Record<string, unknown>)[key])
  }
  const payload = {
    level: (given('level') || 'INFO').toUpperCase(),
    message: given('message') || node.name,
    code: given('code'),
    component: given('component') || 'workflow-engine',
  }
  turn.effects.push({ kind: 'notify', step: step.key, ...payload })
  tell(turn, { type: 'step_event_emitted', step: step.key, data: { payload } })
  succeed(turn, step, {})
}
