import { InvalidArgumentError, Option } from 'commander'
import type { TSchema } from 'typebox'
import { CliError, EXIT } from './exit.ts'

/** A flag of a command. Its name is the long form without dashes. */
export interface Flag {
  name: string
  short?: string
  summary: string
  /** `text` and the numbers take one value, `list` and `pairs` may be repeated, `switch` takes none. */
  kind: 'text' | 'integer' | 'number' | 'switch' | 'list' | 'pairs'
  /** How the value is called in help. */
  value?: string
  choices?: readonly string[]
  required?: boolean
}

export const kebab = (member: string): string =>
  member
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replaceAll('_', '-')
    .toLowerCase()

interface Described {
  type?: string
  enum?: readonly unknown[]
  const?: unknown
  anyOf?: readonly Described[]
  items?: Described
  patternProperties?: Record<string, Described>
  default?: unknown
}

/** The members of an object schema that can be given on a command line, as flags named after them. Others come by file. */
export function flagsOf(schema: TSchema | undefined, skip: ReadonlySet<string>): { member: string; flag: Flag }[] {
  const properties = (schema as { properties?: Record<string, Described> } | undefined)?.properties ?? {}
  return Object.entries(properties).flatMap(([member, described]) => {
    if (skip.has(member)) return []
    const flag = flagOf(kebab(member), described)
    return flag ? [{ member, flag }] : []
  })
}

function flagOf(name: string, described: Described): Flag | undefined {
  const schema = described.anyOf?.find((each) => each.type !== 'null') ?? described
  const summary = described.default === undefined ? '' : `(${JSON.stringify(described.default)})`
  const choices = schema.enum?.map(String)
  switch (schema.type) {
    case 'string':
      return { name, summary, kind: 'text', value: name, ...(choices ? { choices } : {}) }
    case 'integer':
    case 'number':
      return { name, summary, kind: schema.type, value: 'n' }
    case 'boolean':
      return { name, summary, kind: 'switch' }
    case 'array':
      return schema.items?.type === 'string' ? { name, summary, kind: 'list', value: 'item' } : undefined
    case 'object':
      return Object.values(schema.patternProperties ?? {})[0]?.type === 'string'
        ? { name, summary, kind: 'pairs', value: 'key=value' }
        : undefined
    default:
      return undefined
  }
}

/** The flag as commander knows it. Values that do not fit are usage errors. */
export function optionOf({ name, short, summary, kind, value, choices, required }: Flag): Option {
  const term = `${short ? `-${short}, ` : ''}--${name}${kind === 'switch' ? '' : ` <${value ?? name}>`}`
  const option = new Option(term, summary)
  if (choices) option.choices([...choices])
  if (required) option.makeOptionMandatory()
  if (kind === 'integer' || kind === 'number')
    option.argParser((text: string) => {
      const number = Number(text)
      if (text.trim() === '' || !Number.isFinite(number) || (kind === 'integer' && !Number.isInteger(number)))
        throw new InvalidArgumentError(kind === 'integer' ? 'It must be a whole number.' : 'It must be a number.')
      return number
    })
  if (kind === 'list') option.argParser((text: string, before: string[] | undefined) => [...(before ?? []), text])
  if (kind === 'pairs')
    option.argParser((text: string, before: Record<string, string> | undefined) => {
      const at = text.indexOf('=')
      if (at < 1) throw new InvalidArgumentError('Write it like key=value.')
      return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
    })
  return option
}

/** A length of time as people write it, in milliseconds: `90s`, `5m`, `2h`, `1500ms`; a bare number is seconds. */
export function durationMs(text: string): number {
  const [, digits, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim()) ?? []
  const factor = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit]
  if (digits === undefined || factor === undefined)
    throw new CliError(EXIT.usage, `${text} is no length of time.`, 'Write it like 90s, 5m or 2h.')
  return Math.round(Number(digits) * factor)
}
