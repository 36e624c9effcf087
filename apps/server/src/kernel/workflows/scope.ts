import { entry, lookup } from './expression-values.ts'
import type { Scope } from './expressions.ts'
import type { Plan } from './plan.ts'
import type { RunState, StepRun } from './state.ts'
import { isChild, stepEnded } from './event-turn.ts'
import type { World } from './world.ts'

/** What one child, or one iteration, sees beside the run. */
export interface Local {
  readonly item?: unknown
  readonly index?: number
  /** Of a loop: the iterations so far, this one included. */
  readonly iteration?: number
  /** Of a loop: what the last iteration gave. */
  readonly output?: unknown
}

/** What the run's expressions see: jobs.md 21.3 with run, index, iteration and output; or release.md 18.2. */
export function scopeOf(plan: Plan, run: RunState, world: Pick<World, 'now'>, local: Local = {}): Scope {
  return {
    now: world.now,
    get: plan.dialect === 'jobs' ? (name) => jobsRoot(plan, run, local, name) : (name) => releaseRoot(run, local, name),
  }
}

function jobsRoot(plan: Plan, run: RunState, local: Local, name: string): unknown {
  switch (name) {
    case 'input':
      return run.input
    case 'steps':
      return stepsSeen(run, jobsView)
    case 'ctx': {
      const steps = stepsSeen(run, jobsView)
      return lookup(
        (key) => (key === 'steps' ? steps : entry(run.context, key)),
        () => ({ ...run.context, steps: steps.all() }),
      )
    }
    case 'run':
      return { id: run.id, workflow_id: plan.workflowId, dry_run: run.dryRun }
    default:
      return entry(local, name)
  }
}

/** Roots that are neither the run's own nor local come with the run's context (`release`, `environment`, `promotion`, …). */
function releaseRoot(run: RunState, local: Local, name: string): unknown {
  switch (name) {
    case 'inputs':
      return run.input
    case 'steps':
      return stepsSeen(run, releaseView)
    case 'run':
      return { id: run.id, status: run.status }
    default:
      return entry(local, name) ?? entry(run.context, name)
  }
}

const jobsView = (step: StepRun): Record<string, unknown> => ({
  status: step.status,
  output: step.output ?? null,
  ...(step.resultPtr === undefined ? {} : { result_ptr: step.resultPtr }),
  ...(step.error === undefined ? {} : { error: step.error }),
  attempts: step.attempts,
})

const releaseView = (step: StepRun): Record<string, unknown> => ({
  status: step.status,
  outputs: step.output ?? null,
  error: step.error ?? null,
  attempt: step.attempts,
})

/** Steps that have ended. A child is seen as `steps["fan[3]"]` by its parent's output, so that no event has to read all children. */
function stepsSeen(run: RunState, view: (step: StepRun) => Record<string, unknown>) {
  const get = (key: string): unknown => {
    const step = run.steps.get(key)
    if (step) return stepEnded(step) ? view(step) : undefined
    const child = /^(.+)\[(\d+)\]$/.exec(key)
    const parent = child && run.steps.get(child[1] as string)
    if (!parent?.children || !Array.isArray(parent.output)) return undefined
    const output: unknown = parent.output[Number(child?.[2])]
    return output === undefined ? undefined : { output }
  }
  return lookup(get, () =>
    Object.fromEntries(
      [...run.steps.values()].filter((step) => stepEnded(step) && !isChild(step)).map((step) => [step.key, view(step)]),
    ),
  )
}
