import { graphOf } from './plan-graph.ts'
import type { Plan } from './plan.ts'

/** Every node that a node comes after, near and far. */
export function ancestorsOf(plan: Plan, node: string): Set<string> {
  const { into } = graphOf(plan)
  const found = new Set<string>()
  const ahead = [node]
  for (let id = ahead.pop(); id !== undefined; id = ahead.pop()) {
    for (const { from } of into.get(id) ?? []) {
      if (found.has(from)) continue
      found.add(from)
      ahead.push(from)
    }
  }
  return found
}

/** The nodes in layers: those of one may run together. Handlers of failures stand behind what they handle. */
export function layersOf(plan: Plan): string[][] {
  const { order, into, rescuedFrom } = graphOf(plan)
  const layerOf = new Map<string, number>()
  const layers: string[][] = []
  for (const id of order) {
    const before = [...(into.get(id) ?? []).map(({ from }) => from), ...(rescuedFrom.get(id) ?? [])]
    const layer = Math.max(0, ...before.map((each) => (layerOf.get(each) ?? 0) + 1))
    layerOf.set(id, layer)
    ;(layers[layer] ??= []).push(id)
  }
  return layers
}
