import { readLabels } from './constraints.ts'
import { parseGlob } from './glob.ts'
import { compilePattern } from './matcher.ts'
import { PatternError, assert, cat } from './pattern.ts'
import type { Node } from './pattern.ts'
import { anywhere, parseRegexp } from './regexp-syntax.ts'
import { flagOf, listOf, mapOf, problem, scalarOf, strictMapOf, textOf, textsOf, warn } from './yaml-reader.ts'
import type { Cursor } from './yaml-reader.ts'

export const MCP_FIELDS = ['server', 'tool', 'resource', 'action'] as const
export type McpField = (typeof MCP_FIELDS)[number]
/** Allow and deny lists of each part of an MCP call; both empty = not restricted. */
export type McpLists = Readonly<
  Record<McpField, { readonly allow: readonly string[]; readonly deny: readonly string[] }>
>

/** What one fact must satisfy. Every member that is given must hold; see `match.facts` below. */
export interface FactCondition {
  /** Dotted path into the facts, e.g. `instance.labels.env`. */
  readonly path: string
  readonly oneOf: readonly Scalar[]
  readonly not: readonly Scalar[]
  readonly like: readonly string[]
  readonly bounds: readonly { readonly op: 'gt' | 'gte' | 'lt' | 'lte'; readonly value: number }[]
  readonly exists: boolean | null
}

export type Scalar = string | number | boolean

/**
 * What a rule looks at (jobs.md 20.1, 20.2); all that is present must hold. Beyond the document, for our own verbs:
 *
 * - `verbs`: globs over the verb's name (`command:execute`, `instance:*`), case-insensitive.
 * - `command`: patterns over the command line that the job would run, one of which must fit. `cmd:` and a regular
 *   expression that must fit from the start of some simple command of the line, seen through `sudo`, `sh -c`, folders
 *   and quotes (`cmd:mkfs(\.\w+)? `); `re:` and a regular expression searched anywhere in the line; anything else is a
 *   glob over the whole line, in which `*` runs over slashes too. See `command-line.ts` and `regexp-syntax.ts`.
 * - `facts`: conditions over the facts that the verb reports, by dotted path. A value or a list of values means "is one
 *   of"; a mapping may say `gt`, `gte`, `lt`, `lte` (numbers), `like` (globs), `not` (none of), `exists` (true or
 *   false). Text is compared trimmed and case-insensitively. A path through a list looks at every element: one element
 *   must satisfy the positive conditions, none may be a `not`.
 */
export interface Match {
  readonly tenants: readonly string[]
  readonly topics: readonly string[]
  readonly capabilities: readonly string[]
  readonly riskTags: readonly string[]
  readonly requires: readonly string[]
  readonly packIds: readonly string[]
  readonly actorIds: readonly string[]
  readonly actorTypes: readonly string[]
  readonly labels: readonly (readonly [string, string])[]
  readonly secretsPresent: boolean | null
  readonly mcp: McpLists | null
  readonly verbs: readonly string[]
  readonly command: readonly string[]
  readonly facts: readonly FactCondition[]
}

const MAX_ENTRIES = 2000
const MATCH = [
  'tenants',
  'topics',
  'capabilities',
  'risk_tags',
  'requires',
  'pack_ids',
  'actor_ids',
  'actor_types',
  'labels',
  'secrets_present',
  'mcp',
  'verbs',
  'command',
  'facts',
]

/** Reads `match`; absent = a match of everything. Malformed topic globs pass with a warning: they never match. */
export function readMatch(cursor: Cursor | undefined): Match {
  const fields = strictMapOf(cursor, MATCH)
  const texts = (name: string): string[] => textsOf(fields?.get(name), MAX_ENTRIES)
  for (const entry of listOf(fields?.get('topics'), MAX_ENTRIES)) warnOfGlob(entry, '/')
  for (const entry of listOf(fields?.get('verbs'), MAX_ENTRIES)) warnOfGlob(entry, '')
  for (const entry of listOf(fields?.get('command'), MAX_ENTRIES)) checkCommand(entry)
  for (const entry of listOf(fields?.get('actor_types'), MAX_ENTRIES)) {
    const type = textOf(entry)?.trim().toLowerCase()
    if (type !== 'human' && type !== 'service') warn(entry, 'never matches: actor types are human and service')
  }
  const mcp = fields?.get('mcp')
  return {
    tenants: texts('tenants'),
    topics: texts('topics'),
    capabilities: texts('capabilities'),
    riskTags: texts('risk_tags'),
    requires: texts('requires'),
    packIds: texts('pack_ids'),
    actorIds: texts('actor_ids'),
    actorTypes: texts('actor_types'),
    labels: readLabels(fields?.get('labels')),
    secretsPresent: flagOf(fields?.get('secrets_present')) ?? null,
    mcp: mcp?.node ? readMcp(mcp) : null,
    verbs: texts('verbs'),
    command: texts('command'),
    facts: [...(mapOf(fields?.get('facts')) ?? [])].map(([path, field]) => readFact(path, field)),
  }
}

/** True when nothing is asked, so that the rule matches every request. */
export function isAnyMatch(match: Match): boolean {
  const { secretsPresent, mcp, ...lists } = match
  return secretsPresent === null && mcp === null && Object.values(lists).every((list) => list.length === 0)
}

/** Reads the allow and deny lists of `mcp`; absent lists are empty. */
export function readMcp(cursor: Cursor | undefined): McpLists {
  const known = MCP_FIELDS.flatMap((field) => [`allow_${field}s`, `deny_${field}s`])
  const fields = strictMapOf(cursor, known)
  const lists = (field: McpField) => ({
    allow: textsOf(fields?.get(`allow_${field}s`), MAX_ENTRIES),
    deny: textsOf(fields?.get(`deny_${field}s`), MAX_ENTRIES),
  })
  return { server: lists('server'), tool: lists('tool'), resource: lists('resource'), action: lists('action') }
}

const FACT = ['gt', 'gte', 'lt', 'lte', 'like', 'not', 'exists']
const BOUNDS = ['gt', 'gte', 'lt', 'lte'] as const

function readFact(path: string, cursor: Cursor): FactCondition {
  const nothing: FactCondition = { path, oneOf: [], not: [], like: [], bounds: [], exists: null }
  const kind = shapeOf(cursor)
  if (kind !== 'map') {
    const oneOf = readScalars(cursor)
    if (oneOf.length === 0) problem(cursor, 'needs a value, a list of values or conditions')
    return { ...nothing, oneOf }
  }
  const fields = strictMapOf(cursor, FACT)
  if (!fields || fields.size === 0) problem(cursor, `needs at least one of ${FACT.join(', ')}`)
  for (const entry of listOfOneOrMore(fields?.get('like'))) warnOfGlob(entry, '')
  return {
    ...nothing,
    not: fields?.has('not') ? readScalars(fields.get('not')) : [],
    like: listOfOneOrMore(fields?.get('like')).flatMap((entry) => textOf(entry) ?? []),
    bounds: BOUNDS.flatMap((op) => {
      const value = readNumber(fields?.get(op))
      return value === undefined ? [] : [{ op, value }]
    }),
    exists: flagOf(fields?.get('exists')) ?? null,
  }
}

function shapeOf(cursor: Cursor | undefined): 'map' | 'list' | 'scalar' {
  const value: unknown = cursor?.node?.toJS(cursor.reading.document, { maxAliasCount: 1000 })
  if (Array.isArray(value)) return 'list'
  return value !== null && typeof value === 'object' ? 'map' : 'scalar'
}

function listOfOneOrMore(cursor: Cursor | undefined): Cursor[] {
  if (!cursor) return []
  return shapeOf(cursor) === 'list' ? listOf(cursor, MAX_ENTRIES) : [cursor]
}

function readScalars(cursor: Cursor | undefined): Scalar[] {
  return listOfOneOrMore(cursor).flatMap((entry) => scalarOf(entry) ?? [])
}

function readNumber(cursor: Cursor | undefined): number | undefined {
  const value = scalarOf(cursor)
  if (value === undefined || !cursor) return undefined
  if (typeof value === 'number' && Number.isFinite(value)) return value
  problem(cursor, 'must be a number')
  return undefined
}

function warnOfGlob(cursor: Cursor, separator: '/' | ''): void {
  const text = textOf(cursor)
  if (text === undefined) return
  try {
    parseGlob(text, separator)
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    warn(cursor, `never matches: "${text}" ${error.message}`)
  }
}

/** An entry of `command`: its tree, and whether it looks at the whole line or at each simple command. */
export interface CommandPattern {
  readonly over: 'line' | 'command'
  readonly node: Node
}

/** Reads an entry of `command`. Throws PatternError. */
export function readCommandPattern(text: string): CommandPattern {
  if (text.startsWith('re:')) return { over: 'line', node: anywhere(parseRegexp(text.slice(3))) }
  if (text.startsWith('cmd:')) return { over: 'command', node: cat([assert('textStart'), parseRegexp(text.slice(4))]) }
  return { over: 'line', node: parseGlob(text, '').node }
}

function checkCommand(cursor: Cursor): void {
  const text = textOf(cursor)
  if (text === undefined) return
  try {
    compilePattern(readCommandPattern(text).node)
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    problem(cursor, `the pattern ${error.message} (at character ${error.at + 1})`)
  }
}
