import { ANY, PatternError, assert, cat, complement, repeat, set, union, unit } from './pattern.ts'
import type { Node, Ranges } from './pattern.ts'

/** A glob read once: its tree over the whole text, and what an index may know of it. */
export interface Glob {
  readonly node: Node
  /** The characters before the first wildcard, unescaped. */
  readonly prefix: string
  /** True when there is no wildcard: the glob is `prefix` and nothing else. */
  readonly literal: boolean
}

const SLASH: Ranges = [[0x2f, 0x2f]]

/**
 * Reads a glob (jobs.md 20.2): `*` is any run and `?` any one character, neither ever `separator`; `[a-z]`, `[^a-z]` a
 * class; `\` takes the next character as it is. Throws PatternError for an unclosed or empty class, a range that runs
 * backwards and a trailing `\`.
 */
export function parseGlob(text: string, separator: '/' | ''): Glob {
  const within = separator === '/' ? complement(SLASH) : ANY
  const nodes: Node[] = [assert('textStart')]
  let prefix = ''
  let literal = true
  let at = 0
  while (at < text.length) {
    const char = text[at] as string
    if (char === '*' || char === '?') {
      literal = false
      nodes.push(char === '*' ? repeat(set(within), 0, Infinity) : set(within))
      at += 1
    } else if (char === '[') {
      literal = false
      const found = parseClass(text, at)
      nodes.push(set(found.ranges))
      at = found.next
    } else {
      const found = readUnit(text, at)
      nodes.push(unit(found.code))
      if (literal) prefix += String.fromCharCode(found.code)
      at = found.next
    }
  }
  nodes.push(assert('textEnd'))
  return { node: cat(nodes), prefix, literal }
}

function readUnit(text: string, at: number): { code: number; next: number } {
  const escaped = text[at] === '\\'
  const from = escaped ? at + 1 : at
  if (from >= text.length) throw new PatternError('ends with a lone "\\"', at)
  return { code: text.charCodeAt(from), next: from + 1 }
}

function parseClass(text: string, open: number): { ranges: Ranges; next: number } {
  let at = open + 1
  const negated = text[at] === '^'
  if (negated) at += 1
  const parts: [number, number][] = []
  while (at < text.length && (text[at] !== ']' || parts.length === 0)) {
    if (text[at] === ']' || text[at] === '-')
      throw new PatternError('has an empty class or a range without a start', at)
    const low = readUnit(text, at)
    at = low.next
    let high = low
    if (text[at] === '-') {
      if (text[at + 1] === ']' || text[at + 1] === '-') throw new PatternError('has a range without an end', at)
      high = readUnit(text, at + 1)
      at = high.next
      if (high.code < low.code) throw new PatternError('has a range that runs backwards', at)
    }
    parts.push([low.code, high.code])
  }
  if (text[at] !== ']') throw new PatternError('has an unclosed "["', open)
  return { ranges: negated ? complement(parts) : union(parts), next: at + 1 }
}
