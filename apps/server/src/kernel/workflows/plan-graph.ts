import type { Plan, PlanEdge } from './plan.ts'

/** A plan's edges by both ends, and what follows from them. Made once for each plan. */
export interface PlanGraph {
  readonly into: ReadonlyMap<string, readonly Numbered[]>
  readonly from: ReadonlyMap<string, readonly Numbered[]>
  /** Nodes whose failure may begin the node (`on_error`: a step's id). */
  readonly rescuedFrom: ReadonlyMap<string, readonly string[]>
  /** Every node after all that it waits for; equals in the order of their ids. */
  readonly order: readonly string[]
  readonly entry: ReadonlySet<string>
  /** Finally nodes and all that follow them. */
  readonly last: ReadonlySet<string>
  readonly finally: ReadonlyMap<string, 'failure' | 'always'>
  /** Nodes that nothing follows. */
  readonly leaves: readonly string[]
}

export interface Numbered extends PlanEdge {
  /** Its place in `plan.edges`. */
  readonly at: string
}

const graphs = new WeakMap<Plan, PlanGraph>()

/** The graph of a plan. Throws where the plan has a cycle or an edge to nowhere: compiling refuses both. */
export function graphOf(plan: Plan): PlanGraph {
  let graph = graphs.get(plan)
  if (!graph) graphs.set(plan, (graph = build(plan)))
  return graph
}

function build(plan: Plan): PlanGraph {
  const ids = Object.keys(plan.nodes).toSorted()
  const lists = <T>() => new Map<string, T[]>(ids.map((id) => [id, []]))
  const [into, from, rescuedFrom, followers] = [lists<Numbered>(), lists<Numbered>(), lists<string>(), lists<string>()]
  const follow = (before: string, after: string) => {
    const list = followers.get(before)
    if (!list || !followers.has(after))
      throw new Error(`The plan of ${plan.workflowId} leads from ${before} to ${after}`)
    list.push(after)
  }
  for (const [at, edge] of plan.edges.entries()) {
    follow(edge.from, edge.to)
    const numbered = { ...edge, at: String(at) }
    into.get(edge.to)?.push(numbered)
    from.get(edge.from)?.push(numbered)
  }
  for (const id of ids) {
    const { onError, chosenBy } = nodeOf(plan, id)
    if (onError.kind === 'goto') {
      follow(id, onError.to)
      rescuedFrom.get(onError.to)?.push(id)
    }
    for (const { node } of chosenBy) follow(node, id)
  }
  return {
    into,
    from,
    rescuedFrom,
    order: inOrder(plan, followers),
    entry: new Set(plan.entry),
    last: reach(
      plan.finally.map(({ node }) => node),
      followers,
    ),
    finally: new Map(plan.finally.map(({ node, on }) => [node, on])),
    leaves: ids.filter((id) => !from.get(id)?.length),
  }
}

/** The node of that id. Throws where there is none: steps of a run are made of its plan. */
export function nodeOf(plan: Plan, id: string) {
  const node = Object.hasOwn(plan.nodes, id) ? plan.nodes[id] : undefined
  if (!node) throw new Error(`The plan of ${plan.workflowId} has no node ${id}`)
  return node
}

function reach(starts: readonly string[], followers: ReadonlyMap<string, readonly string[]>): Set<string> {
  const reached = new Set(starts)
  for (const id of reached) for (const next of followers.get(id) ?? []) reached.add(next)
  return reached
}

function inOrder(plan: Plan, followers: ReadonlyMap<string, readonly string[]>): string[] {
  const before = new Map([...followers.keys()].map((id) => [id, 0]))
  for (const list of followers.values()) for (const id of list) before.set(id, (before.get(id) ?? 0) + 1)
  const order: string[] = []
  for (let layer = [...before].filter(([, count]) => count === 0).map(([id]) => id); layer.length;) {
    order.push(...layer.toSorted())
    const next: string[] = []
    for (const id of layer.flatMap((each) => followers.get(each) ?? [])) {
      const left = (before.get(id) ?? 0) - 1
      before.set(id, left)
      if (left === 0) next.push(id)
    }
    layer = next
  }
  if (order.length < before.size) throw new Error(`The plan of ${plan.workflowId} has a cycle`)
  return order
}
