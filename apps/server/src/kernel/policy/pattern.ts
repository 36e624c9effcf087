// Patterns of policy files. Both kinds, globs and regular expressions, become one small tree that `matcher.ts` runs in
// linear time: the text comes from callers (topics, command lines), so a backtracking engine would let one of them
// stall the process with a pattern that its author believed harmless.

/** Inclusive ranges of UTF-16 code units, sorted, not overlapping. */
export type Ranges = readonly (readonly [number, number])[]

export type Assertion = 'textStart' | 'textEnd' | 'lineStart' | 'lineEnd' | 'word' | 'notWord'

export type Node =
  | { readonly kind: 'set'; readonly ranges: Ranges }
  | { readonly kind: 'assert'; readonly assertion: Assertion }
  | { readonly kind: 'cat'; readonly nodes: readonly Node[] }
  | { readonly kind: 'alt'; readonly nodes: readonly Node[] }
  | { readonly kind: 'repeat'; readonly node: Node; readonly min: number; readonly max: number }

/** A pattern that cannot be read; `at` is the 0-based offset of the offending character. */
export class PatternError extends Error {
  readonly at: number
  constructor(message: string, at: number) {
    super(message)
    this.name = 'PatternError'
    this.at = at
  }
}

const LAST_UNIT = 0xffff
export const ANY: Ranges = [[0, LAST_UNIT]]
export const WORD: Ranges = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]
export const LINE_END: Ranges = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
]

/** Sorts and joins ranges. */
export function union(...parts: readonly Ranges[]): Ranges {
  const sorted = parts.flat().sort((a, b) => a[0] - b[0])
  const out: [number, number][] = []
  for (const [low, high] of sorted) {
    const last = out.at(-1)
    if (last && low <= last[1] + 1) last[1] = Math.max(last[1], high)
    else out.push([low, high])
  }
  return out
}

/** Every code unit that is in none of `ranges`. */
export function complement(ranges: Ranges): Ranges {
  const out: [number, number][] = []
  let next = 0
  for (const [low, high] of union(ranges)) {
    if (low > next) out.push([next, low - 1])
    next = high + 1
  }
  if (next <= LAST_UNIT) out.push([next, LAST_UNIT])
  return out
}

/** The ranges with both cases of every ASCII letter in them. */
export function foldCase(ranges: Ranges): Ranges {
  const folded: [number, number][] = []
  for (const [low, high] of ranges) {
    const upper: [number, number] = [Math.max(low, 0x41), Math.min(high, 0x5a)]
    const lower: [number, number] = [Math.max(low, 0x61), Math.min(high, 0x7a)]
    if (upper[0] <= upper[1]) folded.push([upper[0] + 32, upper[1] + 32])
    if (lower[0] <= lower[1]) folded.push([lower[0] - 32, lower[1] - 32])
  }
  return union(ranges, folded)
}

export const set = (ranges: Ranges): Node => ({ kind: 'set', ranges })
export const unit = (code: number): Node => set([[code, code]])
export const assert = (assertion: Assertion): Node => ({ kind: 'assert', assertion })
export const cat = (nodes: readonly Node[]): Node => (nodes.length === 1 ? (nodes[0] as Node) : { kind: 'cat', nodes })
export const alt = (nodes: readonly Node[]): Node => (nodes.length === 1 ? (nodes[0] as Node) : { kind: 'alt', nodes })
export const repeat = (node: Node, min: number, max: number): Node => ({ kind: 'repeat', node, min, max })
