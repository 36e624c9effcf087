import type { Definition, Problem, StepDefinition } from './definition.ts'
import { ExpressionError, expressionOf } from './expressions.ts'
import { templateProblems } from './templates.ts'

/** Types that keep their meaning although a topic is given (jobs.md 21.1). */
const ALWAYS_BUILT_IN: readonly (string | undefined)[] = ['approval', 'condition', 'delay', 'notify']
/** What the engine itself does in one stroke, or what people do: there is nothing to do for each item. */
const NOT_FOR_EACH: readonly (string | undefined)[] = [
  'approval',
  'input',
  'condition',
  'switch',
  'delay',
  'parallel',
  'loop',
]

/** Whether the step does what its type says, rather than being a plain job on its topic. */
export function isBuiltIn(step: StepDefinition): boolean {
  if (!step.topic || ALWAYS_BUILT_IN.includes(step.type)) return true
  return step.type === 'loop' && step.condition !== undefined
}

/** Adds what is wrong with the steps and with how they hang together. `known` are all ids given, those of unreadable steps too. */
export function checkDefinition(definition: Definition, known: ReadonlySet<string>, problems: Problem[]): void {
  for (const step of Object.values(definition.steps)) {
    const path = `steps.${step.id}`
    checkReferences(step, known, path, problems)
    checkExpressions(step, path, problems)
    checkType(step, path, problems)
  }
  checkOrder(definition, problems)
}

function checkReferences(step: StepDefinition, known: ReadonlySet<string>, path: string, problems: Problem[]): void {
  const reference = (id: string, at: string) => {
    if (!known.has(id)) {
      problems.push({ path: `${path}.${at}`, message: `there is no step '${id}'`, code: 'WF_UNKNOWN_REFERENCE' })
    } else if (id === step.id) {
      problems.push({ path: `${path}.${at}`, message: 'the step names itself', code: 'WF_SELF_EDGE' })
    }
  }
  for (const [index, id] of step.dependsOn.entries()) reference(id, `depends_on[${index}]`)
  for (const [at, { steps }] of (step.cases ?? []).entries()) {
    for (const [index, id] of steps.entries()) reference(id, `cases[${at}].steps[${index}]`)
  }
  if (step.onError && !['fail', 'continue'].includes(step.onError)) reference(step.onError, 'on_error')
}

function checkExpressions(step: StepDefinition, path: string, problems: Problem[]): void {
  const expression = (text: string | undefined, at: string) => {
    if (text === undefined) return
    try {
      expressionOf(text)
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      problems.push({ path: `${path}.${at}`, message: error.message, code: 'WF_EXPRESSION_SYNTAX' })
    }
  }
  expression(step.condition, 'condition')
  expression(step.forEach, 'for_each')
  for (const [index, { when }] of (step.cases ?? []).entries()) expression(when, `cases[${index}].when`)
  for (const problem of templateProblems(step.input, `${path}.input`)) {
    problems.push({ ...problem, code: 'WF_EXPRESSION_SYNTAX' })
  }
  const [first, ...rest] = step.outputPath?.split('.') ?? []
  if (
    first !== undefined &&
    (first === 'steps' || [first, ...rest].some((each) => each === '' || each === '__proto__'))
  ) {
    const message = "must be names joined by dots; 'steps' is the engine's own"
    problems.push({ path: `${path}.output_path`, message, code: 'WF_FIELD_INVALID' })
  }
}

function checkType(step: StepDefinition, path: string, problems: Problem[]): void {
  const missing = (at: string, message: string) => {
    problems.push({ path: `${path}.${at}`, message, code: 'WF_CONFIG_INVALID' })
  }
  if (!isBuiltIn(step)) return
  if (step.forEach !== undefined && NOT_FOR_EACH.includes(step.type)) {
    missing('for_each', `a step of type '${step.type}' cannot run for each item`)
  }
  switch (step.type) {
    case 'condition':
    case 'loop':
      if (step.condition === undefined) missing('condition', `a step of type '${step.type}' needs one`)
      return
    case 'switch': {
      if (!step.cases?.length && step.condition === undefined) missing('cases', 'a switch needs cases or a condition')
      const names = (step.cases ?? []).map(({ name }) => name)
      if (new Set(names).size < names.length) missing('cases', 'two cases have the same name')
      return
    }
    case 'subworkflow':
      if (!workflowIdOf(step)) missing('workflow_id', 'a sub-workflow step names its workflow, without a template')
      return
    case 'http':
      if (typeof step.input?.['url'] !== 'string') missing('input.url', 'an http step needs a URL')
      return
    case 'storage':
      if (!isOneOf(step.input?.['op'], ['put', 'get', 'delete'])) missing('input.op', 'must be put, get or delete')
  }
}

/** The workflow that a step runs as a run of its own. */
export function workflowIdOf(step: StepDefinition): string | undefined {
  const id = step.workflowId ?? step.input?.['workflow_id']
  return typeof id === 'string' && id !== '' && !id.includes('${') ? id : undefined
}

const isOneOf = (value: unknown, choices: readonly string[]): boolean =>
  typeof value === 'string' && (choices.includes(value) || value.includes('${'))

/** Kahn's algorithm over what must end before what: dependencies, chosen steps after their switch, targets of `on_error` after their source. */
function checkOrder(definition: Definition, problems: Problem[]): void {
  const steps = Object.values(definition.steps)
  const followers = new Map<string, Set<string>>(steps.map(({ id }) => [id, new Set()]))
  const follow = (from: string, to: string) => {
    if (from !== to && followers.has(to)) followers.get(from)?.add(to)
  }
  for (const step of steps) {
    for (const id of step.dependsOn) follow(id, step.id)
    if (isBuiltIn(step) && step.type === 'switch') {
      for (const id of (step.cases ?? []).flatMap((each) => each.steps)) follow(step.id, id)
    }
    if (step.onError && !['fail', 'continue'].includes(step.onError)) follow(step.id, step.onError)
  }
  const waiting = new Map(steps.map(({ id }) => [id, 0]))
  for (const to of followers.values()) for (const id of to) waiting.set(id, (waiting.get(id) ?? 0) + 1)
  const free = [...waiting].filter(([, count]) => count === 0).map(([id]) => id)
  for (const id of free) {
    waiting.delete(id)
    for (const to of followers.get(id) ?? []) {
      const left = (waiting.get(to) ?? 0) - 1
      waiting.set(to, left)
      if (left === 0) free.push(to)
    }
  }
  const cycle = cycleWithin(followers, waiting)
  if (!cycle.length) return
  const message = `the steps wait for each other: ${cycle.join(' → ')} (depends_on, cases and on_error count)`
  problems.push({ path: `steps.${cycle[0]}`, message, code: 'WF_CYCLE' })
}

/** One cycle among steps that each follow another of them, first and last the same. */
function cycleWithin(followers: ReadonlyMap<string, ReadonlySet<string>>, left: ReadonlyMap<string, number>): string[] {
  const before = (id: string) => [...left.keys()].find((each) => followers.get(each)?.has(id))
  const seen: string[] = []
  for (let id = left.keys().next().value; id !== undefined; id = before(id)) {
    const at = seen.indexOf(id)
    if (at >= 0) return [...seen.slice(at), id].toReversed()
    seen.push(id)
  }
  return []
}
