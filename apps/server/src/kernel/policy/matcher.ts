import { LINE_END, PatternError, WORD } from './pattern.ts'
import type { Assertion, Node, Ranges } from './pattern.ts'

const MAX_PROGRAM = 4000
const MAX_STATES = 1000

type Instruction =
  | { readonly op: 'set'; readonly ranges: Ranges }
  | { readonly op: 'split'; a: number; b: number }
  | { readonly op: 'jump'; to: number }
  | { readonly op: 'assert'; readonly assertion: Assertion }
  | { readonly op: 'match' }

/** What stands beside a position: nothing, a word character, a line break, anything else. */
const EDGE = 0
const WORD_UNIT = 1
const BREAK_UNIT = 2
const OTHER_UNIT = 3
type Beside = typeof EDGE | typeof WORD_UNIT | typeof BREAK_UNIT | typeof OTHER_UNIT

interface State {
  readonly places: readonly number[]
  readonly before: Beside
  /** By class of the next unit; undefined = not computed yet. The last slot is the end of the text. */
  readonly next: (State | undefined)[]
}

const FOUND: State = { places: [], before: EDGE, next: [] }
const LOST: State = { places: [], before: EDGE, next: [] }

interface Alphabet {
  readonly starts: readonly number[]
  readonly ascii: Uint16Array
}

/**
 * Compiles a pattern to a test of a whole text. The time is linear in the text whatever the pattern: an automaton whose
 * states are built on demand and forgotten past 1,000. Throws PatternError when the pattern expands past 4,000 steps.
 */
export function compilePattern(node: Node): (text: string) => boolean {
  const program: Instruction[] = []
  emit(program, node)
  program.push({ op: 'match' })
  const contextual = program.some((step) => step.op === 'assert' && !step.assertion.startsWith('text'))
  const alphabet = alphabetOf(program, contextual)
  const classes = alphabet.starts.length
  const kinds = alphabet.starts.map((unit) => (contextual ? besideOf(unit) : OTHER_UNIT))
  const members = program.map((step) =>
    step.op === 'set' ? alphabet.starts.map((unit) => contains(step.ranges, unit)) : undefined,
  )
  let known = new Map<string, State>()
  let start = stateOf([0], EDGE)

  function stateOf(places: number[], before: Beside): State {
    if (places.length === 0) return LOST
    const key = `${before}:${places.join(',')}`
    let state = known.get(key)
    if (!state) {
      if (known.size >= MAX_STATES) {
        known = new Map()
        start = { places: [0], before: EDGE, next: [] }
      }
      state = { places, before, next: [] }
      known.set(key, state)
    }
    return state
  }

  function advance(state: State, letter: number): State {
    const after: Beside = letter === classes ? EDGE : (kinds[letter] as Beside)
    const reached = closure(program, state.places, state.before, after)
    if (reached === 'match') return FOUND
    if (letter === classes) return LOST
    const places = reached.filter((place) => members[place]?.[letter]).map((place) => place + 1)
    return stateOf(places, after)
  }

  return (text) => {
    let state = start
    for (let at = 0; at <= text.length; at++) {
      const letter = at === text.length ? classes : classOf(alphabet, text.charCodeAt(at))
      let next = state.next[letter]
      if (next === undefined) {
        next = advance(state, letter)
        state.next[letter] = next
      }
      if (next === FOUND) return true
      if (next === LOST) return false
      state = next
    }
    return false
  }
}

function emit(program: Instruction[], node: Node): void {
  if (program.length > MAX_PROGRAM) throw new PatternError('is too large', 0)
  switch (node.kind) {
    case 'set':
      program.push({ op: 'set', ranges: node.ranges })
      return
    case 'assert':
      program.push({ op: 'assert', assertion: node.assertion })
      return
    case 'cat':
      for (const part of node.nodes) emit(program, part)
      return
    case 'alt':
      emitAlternatives(program, node.nodes)
      return
    case 'repeat':
      emitRepeat(program, node.node, node.min, node.max)
      return
  }
}

function emitAlternatives(program: Instruction[], nodes: readonly Node[]): void {
  const jumps: { op: 'jump'; to: number }[] = []
  nodes.forEach((part, index) => {
    if (index === nodes.length - 1) {
      emit(program, part)
      return
    }
    const split = { op: 'split' as const, a: program.length + 1, b: 0 }
    program.push(split)
    emit(program, part)
    const jump = { op: 'jump' as const, to: 0 }
    program.push(jump)
    jumps.push(jump)
    split.b = program.length
  })
  for (const jump of jumps) jump.to = program.length
}

function emitRepeat(program: Instruction[], node: Node, min: number, max: number): void {
  for (let count = 0; count < min; count++) emit(program, node)
  if (max === Infinity) {
    const split = { op: 'split' as const, a: program.length + 1, b: 0 }
    program.push(split)
    emit(program, node)
    program.push({ op: 'jump', to: split.a - 1 })
    split.b = program.length
    return
  }
  const splits: { a: number; b: number }[] = []
  for (let count = min; count < max; count++) {
    const split = { op: 'split' as const, a: program.length + 1, b: 0 }
    program.push(split)
    splits.push(split)
    emit(program, node)
  }
  for (const split of splits) split.b = program.length
}

/** The consuming steps that can be reached without consuming, or 'match'. */
function closure(
  program: readonly Instruction[],
  places: readonly number[],
  before: Beside,
  after: Beside,
): number[] | 'match' {
  const seen = new Set<number>()
  const stack = [...places]
  const consuming: number[] = []
  for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
    if (seen.has(place)) continue
    seen.add(place)
    const step = program[place] as Instruction
    if (step.op === 'match') return 'match'
    if (step.op === 'set') consuming.push(place)
    else if (step.op === 'split') stack.push(step.a, step.b)
    else if (step.op === 'jump') stack.push(step.to)
    else if (holds(step.assertion, before, after)) stack.push(place + 1)
  }
  return consuming.sort((a, b) => a - b)
}

function holds(assertion: Assertion, before: Beside, after: Beside): boolean {
  switch (assertion) {
    case 'textStart':
      return before === EDGE
    case 'textEnd':
      return after === EDGE
    case 'lineStart':
      return before === EDGE || before === BREAK_UNIT
    case 'lineEnd':
      return after === EDGE || after === BREAK_UNIT
    case 'word':
      return (before === WORD_UNIT) !== (after === WORD_UNIT)
    case 'notWord':
      return (before === WORD_UNIT) === (after === WORD_UNIT)
  }
}

/** Cuts the code units into classes that no set of the program, and no assertion, tells apart. */
function alphabetOf(program: readonly Instruction[], contextual: boolean): Alphabet {
  const cuts = new Set([0])
  const sets = program.flatMap((step) => (step.op === 'set' ? [step.ranges] : []))
  for (const [low, high] of [...sets, ...(contextual ? [WORD, LINE_END] : [])].flat()) {
    cuts.add(low)
    if (high < 0xffff) cuts.add(high + 1)
  }
  const starts = [...cuts].sort((a, b) => a - b)
  const ascii = new Uint16Array(128)
  for (let unit = 0; unit < 128; unit++) ascii[unit] = search(starts, unit)
  return { starts, ascii }
}

function classOf(alphabet: Alphabet, unit: number): number {
  return unit < 128 ? (alphabet.ascii[unit] as number) : search(alphabet.starts, unit)
}

function search(starts: readonly number[], unit: number): number {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((starts[middle] as number) <= unit) low = middle
    else high = middle - 1
  }
  return low
}

function contains(ranges: Ranges, unit: number): boolean {
  return ranges.some(([low, high]) => unit >= low && unit <= high)
}

function besideOf(unit: number): Beside {
  if (contains(WORD, unit)) return WORD_UNIT
  return contains(LINE_END, unit) ? BREAK_UNIT : OTHER_UNIT
}
