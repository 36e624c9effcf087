import type { Place } from './graph-layout.ts'
import { NODE_WIDTH } from './graph-props.ts'

/** Left and right go along edges; up and down to the nearest node of the same column. */
export function neighbour(
  key: string,
  from: string,
  edges: readonly { from: string; to: string }[],
  places: ReadonlyMap<string, Place>,
): string | undefined {
  const here = places.get(from)
  if (!here) return undefined
  const nearest = (ids: readonly string[]) =>
    ids
      .filter((id) => places.has(id))
      .toSorted((a, b) => Math.abs((places.get(a)?.y ?? 0) - here.y) - Math.abs((places.get(b)?.y ?? 0) - here.y))[0]
  if (key === 'ArrowRight') return nearest(edges.filter((edge) => edge.from === from).map((edge) => edge.to))
  if (key === 'ArrowLeft') return nearest(edges.filter((edge) => edge.to === from).map((edge) => edge.from))
  if (key !== 'ArrowUp' && key !== 'ArrowDown') return undefined
  const sign = key === 'ArrowDown' ? 1 : -1
  const column = [...places].filter(
    ([id, { x, y }]) => id !== from && Math.abs(x - here.x) < NODE_WIDTH && (y - here.y) * sign > 0,
  )
  return nearest(column.map(([id]) => id))
}
