import type { Endpoint, Item, Surface } from '@wheelhouse/contract'
import type { Exchange, Input, ListReply, Reply } from '@wheelhouse/sdk'
import { parse } from 'yaml'
import { agree } from './ask.ts'
import type { ArgSpec, Call, Command } from './command.ts'
import { CliError, EXIT } from './exit.ts'
import { type Flag, flagsOf } from './flags.ts'
import { readText } from './io.ts'
import { card, cellText, type Columns, serialised, table } from './render.ts'
import { watching } from './watch.ts'

/** What a call is made of before its types are known to fit. */
export interface Draft {
  params: Record<string, unknown>
  query: Record<string, unknown>
  body: Record<string, unknown>
}

export interface RowSpec<E extends Endpoint, T> {
  name: string
  aliases?: readonly string[]
  /** Default: the endpoint's own. */
  summary?: string
  /** Members that are given by position after those of the path. */
  args?: readonly ArgSpec[]
  /** Flags that `prepare` reads, beside those that follow from the declaration. */
  flags?: readonly Flag[]
  /** What the flag of a member is called, or says. */
  about?: Readonly<Record<string, string>>
  rename?: Readonly<Record<string, string>>
  hide?: readonly string[]
  /** The items inside the value, where it is neither a list nor the item itself. */
  items?: (value: Reply<E>) => readonly T[]
  columns?: Columns<T>
  /** What `-o name` prints. */
  id?: (item: T) => string
  prepare?: (draft: Draft, call: Call) => void | Promise<void>
  /** The question before something is lost. */
  confirm?: (call: Call) => string
  /** What is said of a change, on stderr. */
  said?: (value: Reply<E>, call: Call) => string
  /** The exit code, when it follows from the answer. */
  code?: (value: Reply<E>, call: Call) => number | void
  examples?: readonly string[]
  complete?: Command['complete']
}

const FILE: Flag = {
  name: 'file',
  short: 'f',
  kind: 'text',
  value: 'path',
  summary: 'the body as JSON or YAML (- reads stdin); flags win over it',
}
const YES: Flag = { name: 'yes', short: 'y', kind: 'switch', summary: 'do not ask' }
const DRY: Flag = { name: 'dry-run', kind: 'switch', summary: 'show the request and send nothing' }
const WATCH: Flag = { name: 'watch', short: 'w', kind: 'switch', summary: 'show it again whenever it changes' }

const EVERY: Flag = { name: 'every', kind: 'text', value: 'time', summary: 'with --watch: how often it looks (2s)' }

const PAGING: readonly Flag[] = [
  { name: 'limit', kind: 'integer', value: 'n', summary: 'how many at most' },
  { name: 'page', kind: 'integer', value: 'n', summary: 'which page, from 1' },
]
const CURSOR: readonly Flag[] = [
  { name: 'limit', kind: 'integer', value: 'n', summary: 'how many at most' },
  { name: 'cursor', kind: 'text', value: 'text', summary: 'where to go on, as the last page said' },
]
const GRAMMAR: readonly Flag[] = [
  { name: 'sort', kind: 'text', value: 'fields', summary: 'fields to sort by; -field is descending' },
  { name: 'filter', kind: 'text', value: 'expression', summary: 'a filter expression' },
]

/** How each surface pages; members of a query that these flags stand for are not flags themselves. */
const PAGES: Readonly<Record<Surface, { flags: readonly Flag[]; size: string }>> = {
  fleet: { flags: PAGING, size: 'pageSize' },
  release: { flags: [...PAGING, ...GRAMMAR], size: 'pageSize' },
  native: { flags: [...CURSOR, ...GRAMMAR], size: 'pageSize' },
  jobs: { flags: CURSOR, size: 'limit' },
  platform: { flags: [], size: 'limit' },
}
const PAGE_MEMBERS = new Set(['page', 'pageSize', 'limit', 'cursor', 'sort', 'filter'])

const bare = (arg: ArgSpec): string => arg.replace(/^\[|\]$|\.\.\.$/g, '')

/**
 * A command that is one call of a declared endpoint. Path parameters are positional, members of query and body are flags; the rest
 * (validation, defaults, permission) is the server's.
 */
export function row<const E extends Endpoint, T = Item<E>>(
  surface: Surface,
  endpoint: E,
  spec: RowSpec<E, T>,
): Command {
  const inPath = [...endpoint.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  const args = [...inPath, ...(spec.args ?? [])]
  const pages = endpoint.list ? PAGES[surface] : undefined
  const skip = new Set([...args.map(bare), ...(spec.hide ?? []), ...(pages ? PAGE_MEMBERS : [])])
  const named = ({ member, flag }: { member: string; flag: Flag }) => ({
    member,
    flag: {
      ...flag,
      name: spec.rename?.[member] ?? flag.name,
      summary: [spec.about?.[member], flag.summary].filter(Boolean).join(' '),
    },
  })
  const query = flagsOf(endpoint.query, skip).map(named)
  const body = flagsOf(endpoint.body, skip).map(named)
  const reads = endpoint.method === 'GET'
  const flags = [
    ...query.map(({ flag }) => flag),
    ...body.map(({ flag }) => flag),
    ...(spec.flags ?? []),
    ...(pages?.flags ?? []),
    ...(endpoint.body ? [FILE] : []),
    ...(reads ? [WATCH, EVERY] : [DRY]),
    ...(spec.confirm ? [YES] : []),
  ]

  async function draftOf(call: Call): Promise<Draft> {
    const draft: Draft = { params: {}, query: {}, body: await bodyFile(call) }
    for (const name of inPath) draft.params[name] = call.args.one(name)
    const into = endpoint.body ? draft.body : draft.query
    for (const arg of spec.args ?? []) {
      const name = bare(arg)
      const value = arg.endsWith('...') ? call.args.rest(name) : call.args.maybe(name)
      if (value !== undefined && value.length > 0) into[name] = value
    }
    for (const { member, flag } of query) put(draft.query, member, call.flags.raw(flag.name))
    for (const { member, flag } of body) put(draft.body, member, call.flags.raw(flag.name))
    if (pages) {
      put(draft.query, pages.size, call.flags.raw('limit'))
      for (const flag of pages.flags) if (flag.name !== 'limit') put(draft.query, flag.name, call.flags.raw(flag.name))
    }
    await spec.prepare?.(draft, call)
    return draft
  }

  const inputOf = ({ params, query, body }: Draft, signal: AbortSignal) =>
    ({ params, query, ...(endpoint.body ? { body } : {}), signal }) as unknown as Input<E>

  const itemsOf = (value: Reply<E>): readonly T[] | undefined =>
    spec.items ? spec.items(value) : endpoint.list ? (value as ListReply<T>).items : undefined

  function show(answer: Exchange<E>, call: Call): void {
    const { voice, format } = call
    const items = itemsOf(answer.value)
    if (format === 'json' || format === 'yaml') return voice.line(serialised(format, answer.body))
    if (format === 'name') {
      const { id } = spec
      if (!id) throw new CliError(EXIT.usage, 'There is no name to print here.', 'Use -o json.')
      for (const item of items ?? [answer.value as T]) voice.line(cellText(id(item)))
      return
    }
    if (spec.columns && items) {
      const text = table(
        items,
        spec.columns,
        voice,
        call.io.stdout.isTTY ? call.io.stdout.columns || undefined : undefined,
      )
      if (text) voice.line(text)
      else voice.say('Nothing found.')
      if (endpoint.list) tellMore(answer.value as ListReply<T>, call)
    } else if (spec.columns) voice.line(card(answer.value as T, spec.columns, voice))
    const said = spec.said?.(answer.value, call)
    if (said) voice.say(said)
  }

  return {
    name: spec.name,
    ...(spec.aliases ? { aliases: spec.aliases } : {}),
    summary: spec.summary ?? endpoint.summary,
    args,
    flags,
    ...(spec.examples ? { examples: spec.examples } : {}),
    ...(spec.complete ? { complete: spec.complete } : {}),
    async run(call) {
      const draft = await draftOf(call)
      if (call.flags.on('dry-run')) return dryRun(endpoint, draft, call)
      if (spec.confirm) await agree(call, spec.confirm(call))
      const { client } = call.session()
      const ask = () => client.exchange(surface, endpoint, inputOf(draft, call.signal))
      if (call.flags.on('watch')) return watching(call, ask, (answer) => show(answer, call))
      const answer = await ask()
      show(answer, call)
      return held(answer, call) ?? spec.code?.(answer.value, call)
    },
  }
}

const put = (into: Record<string, unknown>, member: string, value: unknown): void => {
  if (value !== undefined) into[member] = value
}

async function bodyFile(call: Call): Promise<Record<string, unknown>> {
  const path = call.flags.text('file')
  if (path === undefined) return {}
  const text = await readText(call.io, path)
  let value: unknown
  try {
    value = parse(text)
  } catch (cause) {
    throw new CliError(EXIT.usage, `${path} is neither JSON nor YAML: ${cause instanceof Error ? cause.message : ''}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CliError(EXIT.usage, `${path} must hold an object.`)
  return value as Record<string, unknown>
}

function tellMore<T>({ items, total, next }: ListReply<T>, call: Call): void {
  if (items.length > 0 && next) call.voice.say(`More with --cursor ${next}`)
  else if (items.length > 0 && total > items.length) {
    const page = call.flags.number('page') ?? 1
    call.voice.say(`${items.length} of ${total}; --page ${page + 1} shows the next ones.`)
  }
}

/** The request that a change would be, and nothing more. */
function dryRun(endpoint: Endpoint, { params, query, body }: Draft, { voice, format }: Call): void {
  const path = endpoint.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(params[name])))
  const request = {
    method: endpoint.method,
    path,
    ...(Object.keys(query).length > 0 ? { query } : {}),
    ...(endpoint.body ? { body } : {}),
  }
  voice.say('Nothing was sent. This would be:')
  voice.line(serialised(format === 'yaml' ? 'yaml' : 'json', request))
}

/** A change that waits for somebody: exit code 7, and how to decide it. */
function held(answer: Exchange<Endpoint>, { voice }: Call): number | undefined {
  const body = answer.body as { approvalRequired?: unknown; jobId?: unknown } | null
  if (typeof body !== 'object' || body?.approvalRequired !== true) return undefined
  const jobId = typeof body.jobId === 'string' ? body.jobId : answer.headers.get('x-wheelhouse-job')
  voice.warn(`It waits for approval. Decide with: wheelhouse job approve ${jobId ?? '<job>'}`)
  return EXIT.held
}
