import { ids, type Instant } from '../clock/index.ts'
import type { Tx } from '../db/index.ts'
import { compiledOr, describeProblems, registeredSchemas } from '../schemas/index.ts'
import type { Plan } from './plan.ts'
import type { World } from './world.ts'
import type { Refusal } from './starter.ts'

const named = new WeakMap<Plan, readonly string[]>()

/** Ids of registered schemas that a plan refers to. */
function schemaIds(plan: Plan): readonly string[] {
  let known = named.get(plan)
  if (!known) {
    const found = Object.values(plan.nodes).flatMap(({ inputSchema, outputSchema }) =>
      [inputSchema, outputSchema].flatMap((each) => (each?.inline === undefined && each?.id ? [each.id] : [])),
    )
    named.set(plan, (known = [...new Set(found)]))
  }
  return known
}

/** The surroundings of one turn: its time, whether steps may act, and the registered schemas that the plan names, as they are now. */
export async function worldFor(tx: Tx, plan: Plan, now: Instant, refusal?: Refusal): Promise<World> {
  const registered = await registeredSchemas(tx, schemaIds(plan))
  return {
    now,
    refusal,
    newId: () => ids.next(),
    validate({ inline, id }, value) {
      const schema = inline !== undefined && inline !== null ? compiledOr(inline) : id ? registered.get(id) : undefined
      if (schema === undefined) return undefined
      if (typeof schema === 'string') return schema
      const problems = schema.problems(value)
      return problems.length === 0 ? undefined : describeProblems(problems)
    },
  }
}
