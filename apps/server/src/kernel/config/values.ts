import { resolve } from 'node:path'
import { Value } from 'typebox/value'
import type { Setting } from './settings.ts'

export type Parsed = { value: unknown } | { problem: string }

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/**
 * Turns what a source holds (text of a variable or flag, or a value of the file) into the setting's checked value. A problem
 * says what is wanted, and shows what was given unless the setting is a secret.
 */
export function parseValue(setting: Setting, given: unknown, cwd: string): Parsed {
  const value = fromText(setting, given, cwd)
  if (value !== undefined && Value.Check(setting.schema, value)) return { value }
  const shown = setting.schema.secret ? '' : `, not ${JSON.stringify(given)}`
  return { problem: `must be ${wanted(setting)}${shown}` }
}

/** A duration as a person writes it: the largest unit that divides it. */
export function durationText(ms: number): string {
  const unit = ['d', 'h', 'm', 's'].find((name) => ms % (UNITS[name] ?? 1) === 0)
  return unit ? `${ms / (UNITS[unit] ?? 1)}${unit}` : `${ms}ms`
}

function fromText({ schema }: Setting, given: unknown, cwd: string): unknown {
  if (typeof given !== 'string') return given
  const type = 'type' in schema ? schema.type : 'string'
  if (schema.kind === 'duration') return milliseconds(given)
  if (schema.kind === 'path' || (schema.kind === 'path-or-url' && !isAddress(given))) return resolve(cwd, given)
  if (schema.kind === 'url') return url(given)
  if (type === 'integer' || type === 'number') return /^-?\d+(\.\d+)?$/.test(given.trim()) ? Number(given) : undefined
  if (type === 'boolean') return truth(given)
  if (type === 'array') return given.split(',').flatMap((part) => part.trim() || [])
  return given
}

/** Whether a setting of kind `path-or-url` is an address. */
export const isAddress = (text: string): boolean => /^https?:\/\//i.test(text)

function milliseconds(text: string): number | undefined {
  const [whole] = /^(\d+(ms|s|m|h|d))+$|^\d+$/.exec(text.trim()) ?? []
  if (whole === undefined) return undefined
  if (/^\d+$/.test(whole)) return Number(whole)
  return [...whole.matchAll(/(\d+)(ms|s|m|h|d)/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (UNITS[unit ?? ''] ?? 0),
    0,
  )
}

function url(text: string): string | undefined {
  const whole = /^[a-z]+:\/\//i.test(text) ? text : `https://${text}`
  return /^https?:/i.test(whole) && URL.canParse(whole) ? whole.replace(/\/+$/, '') : undefined
}

function truth(text: string): boolean | undefined {
  if (/^(true|1|on|yes)$/i.test(text)) return true
  return /^(false|0|off|no)$/i.test(text) ? false : undefined
}

function wanted({ schema }: Setting): string {
  const facts = schema as {
    type?: string
    minimum?: number
    maximum?: number
    enum?: unknown[]
    pattern?: string
    items?: { enum?: unknown[] }
  }
  if (schema.kind === 'duration')
    return `a duration such as 90s, 24h or 7d, at least ${durationText(facts.minimum ?? 0)}`
  if (schema.kind === 'url') return 'an http or https address'
  if (facts.enum) return `one of ${facts.enum.join(', ')}`
  if (facts.type === 'array') return facts.items?.enum ? `a list of ${facts.items.enum.join(', ')}` : 'a list of texts'
  if (facts.type === 'boolean') return 'true or false'
  if (facts.type === 'integer' || facts.type === 'number')
    return `${facts.type === 'integer' ? 'a whole number' : 'a number'} from ${facts.minimum ?? 0} to ${facts.maximum ?? 'any'}`
  return facts.pattern ? `text that matches ${facts.pattern}` : 'text'
}
