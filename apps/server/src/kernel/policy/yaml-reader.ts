import { LineCounter, isAlias, isMap, isPair, isScalar, isSeq, parseDocument } from 'yaml'
import type { Document, Node } from 'yaml'

/** One fault of a policy file, with the place to look at (1-based) and the path of the value. */
export interface Problem {
  readonly path: string
  readonly line: number
  readonly column: number
  readonly message: string
}

const MAX_PROBLEMS = 20
const MAX_VALUES = 200_000
const MAX_TEXT = 16_384

/** The state of reading one file. Reading goes on past a problem, so that an author sees all of them at once. */
export interface Reading {
  readonly document: Document
  readonly lines: LineCounter
  readonly problems: Problem[]
  readonly warnings: Problem[]
  values: number
}

/** A value of the file and where it stands. `node` is null for an absent or empty value: both count as absent. */
export interface Cursor {
  readonly reading: Reading
  readonly node: Node | null
  readonly path: string
}

/** Parses YAML (of which JSON is a part) without looking at its meaning; syntax faults end up in `problems`. */
export function openYaml(text: string): Cursor {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    logLevel: 'silent',
  })
  const reading: Reading = { document, lines, problems: [], warnings: [], values: 0 }
  for (const error of document.errors.slice(0, MAX_PROBLEMS)) {
    const { line, col } = lines.linePos(error.pos[0])
    // The parser works by recursion and reports an exhausted stack as a fault of the text.
    const message = error.message.includes('call stack') ? 'the file is nested too deeply' : error.message
    record(reading.problems, { path: '', line, column: col, message })
  }
  return { reading, node: document.contents, path: '' }
}

/** Records a fault at the cursor. */
export function problem(cursor: Cursor, message: string): void {
  record(cursor.reading.problems, placed(cursor, message))
}

/** Records something that an author should know although the file is accepted. */
export function warn(cursor: Cursor, message: string): void {
  record(cursor.reading.warnings, placed(cursor, message))
}

/** A value may be read twice; it is one problem. */
function record(into: Problem[], found: Problem): void {
  const known = into.some((other) => other.path === found.path && other.message === found.message)
  if (!known && into.length < MAX_PROBLEMS) into.push(found)
}

function placed(cursor: Cursor, message: string): Problem {
  const offset = cursor.node?.range?.[0] ?? 0
  const { line, col } = cursor.reading.lines.linePos(offset)
  return { path: cursor.path, line, column: col, message }
}

export type Fields = ReadonlyMap<string, Cursor>

/** The entries of a mapping; undefined when absent. Anything else than a mapping is a problem. */
export function mapOf(cursor: Cursor | undefined): Fields | undefined {
  const at = resolved(cursor)
  if (!at) return undefined
  if (!isMap(at.node)) {
    problem(at, 'must be a mapping')
    return undefined
  }
  const fields = new Map<string, Cursor>()
  for (const pair of at.node.items) {
    if (!isPair(pair) || !isScalar(pair.key)) continue
    const key = String(pair.key.value)
    const path = at.path === '' ? key : `${at.path}.${key}`
    fields.set(key, { reading: at.reading, node: (pair.value as Node | null) ?? null, path })
  }
  return fields
}

/** The entries of a mapping that knows exactly `known` keys (jobs.md 20.1: nested objects are strict). */
export function strictMapOf(cursor: Cursor | undefined, known: readonly string[]): Fields | undefined {
  const fields = mapOf(cursor)
  for (const [key, field] of fields ?? []) {
    if (!known.includes(key)) problem(fieldPlace(cursor, field), `unknown field; known here: ${known.join(', ')}`)
  }
  return fields
}

/** An unknown field may have no value to point at; its parent is near enough. */
function fieldPlace(parent: Cursor | undefined, field: Cursor): Cursor {
  return field.node ? field : { ...field, node: parent?.node ?? null }
}

/** The elements of a list; [] when absent. */
export function listOf(cursor: Cursor | undefined, max: number): Cursor[] {
  const at = resolved(cursor)
  if (!at) return []
  if (!isSeq(at.node)) {
    problem(at, 'must be a list')
    return []
  }
  if (at.node.items.length > max) {
    problem(at, `has ${at.node.items.length} entries; at most ${max} are allowed`)
    return []
  }
  return at.node.items.map((node, index) => ({
    reading: at.reading,
    node: (node as Node | null) ?? null,
    path: `${at.path}[${index}]`,
  }))
}

/** A scalar as JavaScript sees it; undefined when absent. */
export function scalarOf(cursor: Cursor | undefined): string | number | boolean | undefined {
  const at = resolved(cursor)
  if (!at) return undefined
  const value = isScalar(at.node) ? at.node.value : undefined
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  problem(at, 'must be a single value')
  return undefined
}

/** Text; an unquoted number or boolean counts as the text that stands in the file (`version: 1.0`, `dry_run: true`). */
export function textOf(cursor: Cursor | undefined): string | undefined {
  const at = resolved(cursor)
  if (!at) return undefined
  if (!isScalar(at.node) || typeof at.node.value === 'object') {
    problem(at, 'must be text')
    return undefined
  }
  const { value, source } = at.node
  const text = typeof value === 'string' ? value : (source ?? String(value))
  if (text.length > MAX_TEXT) problem(at, `is longer than ${MAX_TEXT} characters`)
  return text
}

/** A list of texts; [] when absent. Each comes with its cursor, for problems found later. */
export function textsOf(cursor: Cursor | undefined, max: number): string[] {
  return listOf(cursor, max).flatMap((entry) => {
    if (resolved(entry) === undefined) problem(entry, 'must not be empty')
    return textOf(entry) ?? []
  })
}

/** An integer from `min` to `max`; undefined when absent. */
export function integerOf(cursor: Cursor | undefined, min: number, max: number): number | undefined {
  const value = scalarOf(cursor)
  if (value === undefined || !cursor) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  problem(cursor, `must be an integer from ${min} to ${max}`)
  return undefined
}

/** `true` or `false`; undefined when absent. */
export function flagOf(cursor: Cursor | undefined): boolean | undefined {
  const value = scalarOf(cursor)
  if (value === undefined || !cursor) return undefined
  if (typeof value === 'boolean') return value
  problem(cursor, 'must be true or false')
  return undefined
}

/** Follows aliases, treats null as absent, and bounds how much of the file is read (aliases can multiply it). */
function resolved(cursor: Cursor | undefined): (Cursor & { node: Node }) | undefined {
  if (!cursor) return undefined
  const { reading } = cursor
  reading.values += 1
  if (reading.values > MAX_VALUES) {
    if (reading.values === MAX_VALUES + 1) problem(cursor, `the file has more than ${MAX_VALUES} values`)
    return undefined
  }
  let node: Node | null | undefined = cursor.node
  for (let hops = 0; isAlias(node) && hops < 10; hops++) node = node.resolve(reading.document)
  if (isAlias(node) || node === undefined) {
    problem(cursor, 'is an alias that leads nowhere')
    return undefined
  }
  if (node === null || (isScalar(node) && node.value === null)) return undefined
  return { ...cursor, node }
}
