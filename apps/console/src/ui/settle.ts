export interface Settled {
  order: readonly string[]
  /** How many rows have come and wait to be shown. */
  waiting: number
}

/** Keeps what the hand aims at in its place: while `held`, known rows keep their order, gone rows leave, new rows wait and are counted. Released, the new order holds. */
export function settle(previous: readonly string[], next: readonly string[], held: boolean): Settled {
  if (!held || previous.length === 0) return { order: next, waiting: 0 }
  const present = new Set(next)
  const order = previous.filter((id) => present.has(id))
  if (order.length === next.length && order.every((id, index) => id === next[index])) return { order: next, waiting: 0 }
  return { order, waiting: next.length - order.length }
}
