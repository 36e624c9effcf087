import { entry, lookup } from './expression-values.ts'
import { ExpressionError } from './expressions.ts'
import type { Scope } from './expressions.ts'
import type { Plan } from './plan.ts'
import { scopeOf } from './scope.ts'
import type { RunState } from './state.ts'
import type { World } from './world.ts'

export type Certainty = 'yes' | 'no' | 'unknown'

/** What is known of a step: whether it runs, whether those that follow go on, and its output. */
export interface Known {
  runs: Certainty
  passes: Certainty
  output?: { readonly value: unknown }
  why?: string
}

/** Something that only a real run could tell. */
export class Unknown extends Error {
  readonly what: string
  constructor(what: string) {
    super(what)
    this.what = what
  }
}

/** As in a run, but reading a step that has not really ended throws Unknown, where its output cannot be foretold. */
export function dryScope(plan: Plan, run: RunState, world: World, known: ReadonlyMap<string, Known>): Scope {
  const real = scopeOf(plan, run, world)
  const field = plan.dialect === 'jobs' ? 'output' : 'outputs'
  const step = (key: string): unknown => {
    const id = key.replace(/\[\d+\]$/, '')
    if (id !== key)
      return !Object.hasOwn(plan.nodes, key) && Object.hasOwn(plan.nodes, id) ? refuse(`steps.${key}`) : undefined
    if (!Object.hasOwn(plan.nodes, id)) return undefined
    const { runs, output } = known.get(id) ?? {}
    if (runs === 'no') return output && { [field]: output.value }
    return lookup(
      (name) => (name === field && output ? output.value : refuse(`steps.${id}.${name}`)),
      () => refuse(`steps.${id}`),
    )
  }
  const steps = lookup(step, () => refuse('steps'))
  const written = (key: string): boolean =>
    Object.values(plan.nodes).some(
      ({ id, outputPath }) => outputPath?.split('.')[0] === key && known.has(id) && known.get(id)?.runs !== 'no',
    )
  return {
    now: world.now,
    get(name) {
      if (name === 'steps') return steps
      if (name !== 'ctx' || plan.dialect !== 'jobs') return real.get(name)
      return lookup(
        (key) => (key === 'steps' ? steps : written(key) ? refuse(`ctx.${key}`) : entry(run.context, key)),
        () => refuse('ctx'),
      )
    },
  }
}

function refuse(what: string): never {
  throw new Unknown(what)
}

type Attempted<T> = { readonly value: T } | { readonly unknown: string } | { readonly problem: string }

export function attemptTo<T>(compute: () => T): Attempted<T> {
  try {
    return { value: compute() }
  } catch (error) {
    if (error instanceof Unknown) return { unknown: error.what }
    if (error instanceof ExpressionError) return { problem: error.message }
    throw error
  }
}
