import {
  ANY,
  LINE_END,
  PatternError,
  WORD,
  alt,
  assert,
  cat,
  complement,
  foldCase,
  repeat,
  set,
  union,
} from './pattern.ts'
import type { Node, Ranges } from './pattern.ts'

const DIGIT: Ranges = [[0x30, 0x39]]
const SPACE: Ranges = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]
const NAMED: Readonly<Record<string, Ranges>> = {
  d: DIGIT,
  D: complement(DIGIT),
  s: SPACE,
  S: complement(SPACE),
  w: WORD,
  W: complement(WORD),
}
const CONTROL: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 }
const MAX_COUNT = 1000
const MAX_DEPTH = 50

interface Reader {
  readonly text: string
  readonly fold: boolean
  at: number
  depth: number
}

/**
 * Reads the subset of JavaScript's regular expressions that can be run in linear time: literals, `.`, classes, `\d \s \w`
 * and their opposites, `\b \B`, `^ $` (at line breaks too), groups, `|`, `* + ? {n,m}` and a leading `(?i)`. Throws
 * PatternError for the rest: lookaround, back references, named groups.
 */
export function parseRegexp(text: string): Node {
  const fold = text.startsWith('(?i)')
  const reader: Reader = { text, fold, at: fold ? 4 : 0, depth: 0 }
  const node = alternatives(reader)
  if (reader.at < text.length) throw new PatternError('has a ")" without "("', reader.at)
  return node
}

function alternatives(reader: Reader): Node {
  if (++reader.depth > MAX_DEPTH) throw new PatternError(`nests groups more than ${MAX_DEPTH} deep`, reader.at)
  const branches = [sequence(reader)]
  while (reader.text[reader.at] === '|') {
    reader.at += 1
    branches.push(sequence(reader))
  }
  reader.depth -= 1
  return alt(branches)
}

function sequence(reader: Reader): Node {
  const nodes: Node[] = []
  while (reader.at < reader.text.length && reader.text[reader.at] !== '|' && reader.text[reader.at] !== ')') {
    nodes.push(quantified(reader, term(reader)))
  }
  return cat(nodes)
}

function term(reader: Reader): Node {
  const { text, at } = reader
  const char = text[at] as string
  if (char === '(') return group(reader)
  if (char === '[') return set(characterClass(reader))
  reader.at += 1
  if (char === '^') return assert('lineStart')
  if (char === '$') return assert('lineEnd')
  if (char === '.') return set(complement(LINE_END))
  if ('*+?{'.includes(char)) throw new PatternError(`has nothing before "${char}" to repeat`, at)
  if (char === '\\') {
    const next = text[reader.at]
    if (next === 'b' || next === 'B') {
      reader.at += 1
      return assert(next === 'b' ? 'word' : 'notWord')
    }
    return set(folded(reader, escape(reader)))
  }
  return set(folded(reader, [[text.charCodeAt(at), text.charCodeAt(at)]]))
}

function group(reader: Reader): Node {
  const open = reader.at
  reader.at += 1
  if (reader.text[reader.at] === '?') {
    if (reader.text[reader.at + 1] !== ':') {
      throw new PatternError('uses lookaround, a named group or a flag, which policy patterns do not have', open)
    }
    reader.at += 2
  }
  const node = alternatives(reader)
  if (reader.text[reader.at] !== ')') throw new PatternError('has an unclosed "("', open)
  reader.at += 1
  return node
}

function quantified(reader: Reader, node: Node): Node {
  const { text, at } = reader
  const counts = /^(?:([*+?])|\{(\d{1,6})(,(\d{0,6}))?\})\??/.exec(text.slice(at, at + 20))
  if (!counts) {
    if (text[at] === '{') throw new PatternError('has a malformed "{n,m}"; write "\\{" for the character itself', at)
    return node
  }
  reader.at += counts[0].length
  if ('*+?{'.includes(text[reader.at] ?? ' ')) throw new PatternError('repeats a repetition', reader.at)
  if (counts[1]) return repeat(node, counts[1] === '+' ? 1 : 0, counts[1] === '?' ? 1 : Infinity)
  const min = Number(counts[2])
  const max = counts[3] === undefined ? min : counts[4] ? Number(counts[4]) : Infinity
  if (max < min) throw new PatternError('has a "{n,m}" with m below n', at)
  if (min > MAX_COUNT || (max !== Infinity && max > MAX_COUNT)) {
    throw new PatternError(`repeats more than ${MAX_COUNT} times`, at)
  }
  return repeat(node, min, max)
}

function folded(reader: Reader, ranges: Ranges): Ranges {
  return reader.fold ? foldCase(ranges) : ranges
}

/** Reads what follows a `\`; the reader stands on the character after it. */
function escape(reader: Reader): Ranges {
  const char = reader.text[reader.at]
  if (char === undefined) throw new PatternError('ends with a lone "\\"', reader.at)
  reader.at += 1
  const named = NAMED[char]
  if (named) return named
  const control = CONTROL[char]
  if (control !== undefined) return [[control, control]]
  if (char === 'x' || char === 'u') {
    const hex = new RegExp(`^[0-9a-fA-F]{${char === 'x' ? 2 : 4}}`).exec(reader.text.slice(reader.at))
    if (!hex) throw new PatternError(`has a malformed "\\${char}"`, reader.at)
    reader.at += hex[0].length
    const code = Number.parseInt(hex[0], 16)
    return [[code, code]]
  }
  if (/[0-9A-Za-z]/.test(char))
    throw new PatternError(`uses "\\${char}", which policy patterns do not have`, reader.at - 1)
  return [[char.charCodeAt(0), char.charCodeAt(0)]]
}

function characterClass(reader: Reader): Ranges {
  const open = reader.at
  reader.at += 1
  const negated = reader.text[reader.at] === '^'
  if (negated) reader.at += 1
  const parts: Ranges[] = []
  while (reader.at < reader.text.length && reader.text[reader.at] !== ']') {
    const low = classAtom(reader)
    if (reader.text[reader.at] !== '-' || (reader.text[reader.at + 1] ?? ']') === ']') {
      parts.push(low)
      continue
    }
    reader.at += 1
    const high = classAtom(reader)
    const [from, to] = [single(low), single(high)]
    if (from === undefined || to === undefined || to < from)
      throw new PatternError('has a malformed range in "[]"', reader.at)
    parts.push([[from, to]])
  }
  if (reader.text[reader.at] !== ']') throw new PatternError('has an unclosed "["', open)
  reader.at += 1
  const ranges = folded(reader, union(...parts))
  return negated ? complement(ranges) : ranges
}

function classAtom(reader: Reader): Ranges {
  if (reader.text[reader.at] === '\\') {
    reader.at += 1
    if (reader.text[reader.at] !== 'b') return escape(reader)
    reader.at += 1
    return [[8, 8]]
  }
  const code = reader.text.charCodeAt(reader.at)
  reader.at += 1
  return [[code, code]]
}

function single(ranges: Ranges): number | undefined {
  const [first] = ranges
  return ranges.length === 1 && first && first[0] === first[1] ? first[0] : undefined
}

/** The tree that finds `node` anywhere in a text. */
export function anywhere(node: Node): Node {
  return cat([repeat(set(ANY), 0, Infinity), node])
}
