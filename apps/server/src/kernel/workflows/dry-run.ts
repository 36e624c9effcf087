import { inputOf } from './begin-step.ts'
import { attemptTo, dryScope, Unknown } from './dry-scope.ts'
import type { Certainty, Known } from './dry-scope.ts'
import { entry } from './expression-values.ts'
import { evaluate, ExpressionError, print, truthy } from './expressions.ts'
import type { Scope } from './expressions.ts'
import type { Numbered } from './plan-graph.ts'
import { graphOf, nodeOf } from './plan-graph.ts'
import type { Plan, PlanNode } from './plan.ts'
import type { Effect, RunState, StepRun } from './state.ts'
import { render } from './templates.ts'
import { stepEnded } from './event-turn.ts'
import type { World } from './world.ts'

/** What policy says of a job that a step would submit. */
export interface DryDecision {
  readonly decision: string
  readonly ruleId?: string
  readonly reason?: string
  /** Whether people would be asked before it runs. */
  readonly approval?: boolean
}

/** One step of a dry run; `runs` holds if all that comes before it succeeds. */
export interface DryStep {
  readonly id: string
  readonly type: string
  /** Steps of one layer wait for none of their own. */
  readonly layer: number
  readonly runs: Certainty
  readonly why?: string
  readonly topic?: string
  readonly workflow_id?: string
  /** What is not known yet stands in it as its template. */
  readonly input?: unknown
  /** Of a for_each whose list is known. */
  readonly items?: number
  readonly unknown?: readonly string[]
  /** What would fail it. */
  readonly problem?: string
  readonly decision?: string
  readonly rule_id?: string
  readonly reason?: string
  readonly approval?: boolean
}

type Submit = Extract<Effect, { kind: 'submit' }>

/**
 * Walks the plan with what is known before anything ran (steps that a rerun kept count as they ended), and asks `decide` what policy says of
 * each job. Nothing is submitted, asked or set, and `run` is not changed. Outputs of jobs, people and sub-runs are unknown, and so is all
 * that is made of them.
 */
export async function dryRun(
  plan: Plan,
  run: RunState,
  world: World,
  decide: (submit: Submit) => Promise<DryDecision>,
): Promise<{ steps: DryStep[] }> {
  const graph = graphOf(plan)
  const known = new Map<string, Known>()
  const layers = new Map<string, number>()
  const steps: DryStep[] = []
  for (const id of graph.order) {
    const node = nodeOf(plan, id)
    const layer = Math.max(-1, ...(graph.into.get(id) ?? []).map(({ from }) => layers.get(from) ?? 0)) + 1
    layers.set(id, layer)
    const kept = run.steps.get(id)
    if (kept && stepEnded(kept)) {
      known.set(id, knownOf(kept))
      steps.push({ id, type: node.action.kind, layer, runs: 'no', why: 'kept from the run before' })
      continue
    }
    const walk: Walk = { plan, run, world, scope: dryScope(plan, run, world, known), known, node }
    const reached = reachedBy(walk)
    const dry = reached.runs === 'no' ? {} : await look(walk, reached, decide)
    known.set(id, reached)
    steps.push({
      id,
      type: node.action.kind,
      layer,
      runs: reached.runs,
      ...(reached.why === undefined ? {} : { why: reached.why }),
      ...dry,
    })
  }
  return { steps }
}

interface Walk {
  plan: Plan
  run: RunState
  world: World
  scope: Scope
  known: ReadonlyMap<string, Known>
  node: PlanNode
}

const knownOf = (step: StepRun): Known => ({
  runs: 'yes',
  passes: step.status === 'succeeded' || step.skipReason === 'condition_false' ? 'yes' : 'no',
  output: { value: step.output ?? null },
})

function reachedBy({ plan, known, node, scope }: Walk): Known {
  const graph = graphOf(plan)
  const no = (why: string): Known => ({ runs: 'no', passes: 'no', why })
  const unknown = (why: string): Known => ({ runs: 'unknown', passes: 'unknown', why })
  let state: Known = { runs: 'yes', passes: 'yes' }
  const edges = graph.into.get(node.id) ?? []
  if (graph.finally.get(node.id) === 'failure') state = unknown('runs when the run fails')
  else if (!graph.entry.has(node.id) && !graph.finally.has(node.id)) {
    const runs = joined(node, edges, (edge) => edgeCertainty(edge, known, scope))
    if (runs === 'no') {
      const rescues = graph.rescuedFrom.get(node.id)?.join(', ')
      return rescues ? unknown(`runs when ${rescues} fails`) : no('nothing that leads to it runs')
    }
    if (runs === 'unknown') state = unknown('what leads to it is not known yet')
  }
  for (const { node: of, branches } of node.chosenBy) {
    const output = known.get(of)?.output
    if (!output) state = unknown(`depends on what ${of} chooses`)
    else if (!branches.includes(print(entry(output.value, 'branch')))) return no(`${of} chooses another branch`)
  }
  return state
}

function edgeCertainty(edge: Numbered, known: ReadonlyMap<string, Known>, scope: Scope): Certainty {
  const { runs, passes } = known.get(edge.from) ?? { runs: 'unknown', passes: 'unknown' }
  const reached = edge.on === 'success' ? passes : edge.on === 'always' ? runs : runs === 'no' ? 'no' : 'unknown'
  if (reached === 'no' || edge.condition === undefined) return reached
  const holds = attemptTo(() => truthy(evaluate(edge.condition as string, scope)))
  if (!('value' in holds)) return 'problem' in holds ? 'no' : 'unknown'
  return holds.value ? reached : 'no'
}

function joined({ join }: PlanNode, edges: readonly Numbered[], of: (edge: Numbered) => Certainty): Certainty {
  const count = { yes: 0, no: 0, unknown: 0 }
  for (const edge of edges) count[of(edge)]++
  // Those that are dead do not count: one that holds is enough, whatever the unknown ones turn out to be.
  const wanted = typeof join === 'object' ? Math.max(join.atLeast, 1) : 1
  if (count.yes >= wanted) return 'yes'
  return count.yes + count.unknown >= wanted ? 'unknown' : 'no'
}

/** What the step would do; also says in `state` what those that follow can know. */
async function look(
  walk: Walk,
  state: Known,
  decide: (submit: Submit) => Promise<DryDecision>,
): Promise<Partial<DryStep>> {
  const { node, scope } = walk
  if (node.condition !== undefined) {
    const holds = attemptTo(() => truthy(evaluate(node.condition as string, scope)))
    if ('problem' in holds) return failing(state, holds.problem)
    if ('unknown' in holds) {
      if (state.passes === 'yes' && node.skipCountsAs === 'skip') state.passes = 'unknown'
      state.runs = 'unknown'
      state.why ??= `its condition reads ${holds.unknown}`
    } else if (!holds.value) {
      Object.assign(state, { runs: 'no', why: 'its condition is false', output: { value: null } })
      if (node.skipCountsAs === 'skip') state.passes = 'no'
      return {}
    }
  }
  return { ...(await doing(walk, state, decide)) }
}

async function doing(
  walk: Walk,
  state: Known,
  decide: (submit: Submit) => Promise<DryDecision>,
): Promise<Partial<DryStep>> {
  const { node } = walk
  const { action } = node
  switch (action.kind) {
    case 'condition':
      return computed(state, () => truthy(evaluate(action.expression, walk.scope)))
    case 'switch':
      return computed(state, () => branchOf(action, walk.scope))
    case 'fork':
    case 'delay':
      return computed(state, () => null)
    case 'fail':
      return failing(state, action.message)
    default: {
      const given = inputs(walk)
      if (given.problem !== undefined) return failing(state, given.problem, given)
      if ((action.kind === 'transform' || action.kind === 'notify') && !given.unknown && !node.each) {
        state.output = { value: action.kind === 'transform' ? given.input : null }
      }
      if (action.kind === 'run') return { ...given, workflow_id: action.workflowId }
      if (action.kind !== 'job') return given
      return { ...given, topic: action.job.topic, ...(await decided(walk, action.job, given.input, decide)) }
    }
  }
}

function branchOf(action: Extract<PlanNode['action'], { kind: 'switch' }>, scope: Scope): unknown {
  if (action.value !== undefined) {
    const value = evaluate(action.value, scope)
    return { branch: print(value) || (action.otherwise ?? null), value }
  }
  const found = action.cases.find(({ when }) => truthy(evaluate(when, scope)))?.name ?? action.otherwise ?? null
  return { branch: found, value: found }
}

function computed(state: Known, compute: () => unknown): Partial<DryStep> {
  const made = attemptTo(compute)
  if ('problem' in made) return failing(state, made.problem)
  if ('unknown' in made) return { unknown: [made.unknown] }
  state.output = { value: made.value }
  return {}
}

function failing(state: Known, problem: string, rest: Partial<DryStep> = {}): Partial<DryStep> {
  state.passes = 'no'
  return { ...rest, problem }
}

async function decided(
  { node, run }: Walk,
  job: Submit['job'],
  input: unknown,
  decide: (submit: Submit) => Promise<DryDecision>,
): Promise<Partial<DryStep>> {
  const { decision, ruleId, reason, approval } = await decide({
    kind: 'submit',
    step: node.id,
    jobId: `${run.id}:${node.id}@1`,
    attempt: 1,
    job,
    input,
    ...(node.timeoutMs === undefined ? {} : { timeoutMs: node.timeoutMs }),
  })
  return {
    decision,
    ...(ruleId === undefined ? {} : { rule_id: ruleId }),
    ...(reason === undefined ? {} : { reason }),
    ...(approval === undefined ? {} : { approval }),
  }
}

/** The input as far as it is known; of a for_each, that of its first item. */
function inputs({ plan, run, world, node, scope }: Walk): Pick<DryStep, 'input' | 'items' | 'unknown' | 'problem'> {
  const unknown = new Set<string>()
  const local: Record<string, unknown> = {}
  let items: number | undefined
  if (node.each) {
    const list = attemptTo(() => evaluate((node.each as { items: string }).items, scope, 16 * 1024 * 1024))
    if ('problem' in list) return { problem: `for_each: ${list.problem}` }
    if ('unknown' in list) unknown.add(list.unknown)
    else if (list.value !== null && !Array.isArray(list.value)) return { problem: 'for_each gave no list' }
    else {
      const all: readonly unknown[] = list.value ?? []
      items = all.length
      local['item'] = all[0] ?? null
      local['index'] = 0
    }
  }
  const inner: Scope = {
    now: scope.now,
    get(name) {
      if (Object.hasOwn(local, name)) return local[name]
      if ((node.each && (name === 'item' || name === 'index')) || (node.loop && name === 'output'))
        throw new Unknown(name)
      if (node.loop && (name === 'iteration' || name === 'index')) return name === 'iteration' ? 1 : 0
      return scope.get(name)
    },
  }
  const size = items === undefined ? {} : { items }
  try {
    const input =
      node.input === undefined ? inputOf(node, { plan, run, world }, local) : partly(node.input, inner, unknown)
    const problem =
      node.inputSchema && !unknown.size && node.action.kind !== 'form'
        ? world.validate(node.inputSchema, input)
        : undefined
    return {
      ...size,
      input,
      ...(unknown.size ? { unknown: [...unknown] } : {}),
      ...(problem === undefined ? {} : { problem: `The input does not fit its schema: ${problem}` }),
    }
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    return { ...size, problem: error.message }
  }
}

/** The rendered value; templates that read what is unknown stay as they are. */
function partly(value: unknown, scope: Scope, unknown: Set<string>, at = 'input'): unknown {
  if (Array.isArray(value)) return value.map((each, index) => partly(each, scope, unknown, `${at}[${index}]`))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, partly(each, scope, unknown, `${at}.${key}`)]),
    )
  }
  try {
    return render(value, scope, at)
  } catch (error) {
    if (!(error instanceof Unknown)) throw error
    unknown.add(error.what)
    return value
  }
}
