/** The input of a run as it was typed: an object, or what is wrong with it. */
export function readInput(text: string): { value?: Record<string, unknown>; problem?: string } {
  if (text.trim() === '') return { value: {} }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return { problem: 'The input must be an object: { … }' }
    return { value: value as Record<string, unknown> }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : 'This is not JSON' }
  }
}

/** The input that a schema asks for, to begin with: its defaults, and empty values for what is required. */
export function sampleInput(schema: unknown): Record<string, unknown> {
  if (typeof schema !== 'object' || schema === null) return {}
  const { properties, required } = schema as { properties?: Record<string, SchemaPart>; required?: string[] }
  return Object.fromEntries(
    Object.entries(properties ?? {}).flatMap(([name, part]) => {
      if (part.default !== undefined) return [[name, part.default]]
      return required?.includes(name) ? [[name, empty(part)]] : []
    }),
  )
}

interface SchemaPart {
  type?: string | string[]
  title?: string
  description?: string
  default?: unknown
  enum?: unknown[]
}

function empty({ type, enum: choices }: SchemaPart): unknown {
  if (choices && choices.length > 0) return choices[0]
  const first = Array.isArray(type) ? type[0] : type
  if (first === 'number' || first === 'integer') return 0
  if (first === 'boolean') return false
  if (first === 'array') return []
  return first === 'object' ? {} : ''
}

/** One field of a form that a flat schema asks for. */
export interface InputField {
  name: string
  label: string
  help: string | undefined
  kind: 'text' | 'number' | 'switch' | 'choice'
  required: boolean
  choices: readonly (string | number)[]
}

const MOST_FIELDS = 24

/** The fields of a schema that knows only texts, numbers, switches and choices; nothing for any other, which is typed as JSON. */
export function flatFields(schema: unknown): InputField[] | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined
  const { properties, required } = schema as { properties?: Record<string, SchemaPart>; required?: string[] }
  const fields = Object.entries(properties ?? {}).map(([name, part]): InputField | undefined => {
    const kind = kindOf(part)
    return (
      kind && {
        name,
        label: part.title ?? name,
        help: part.description,
        kind,
        required: required?.includes(name) ?? false,
        choices: kind === 'choice' ? ((part.enum ?? []) as (string | number)[]) : [],
      }
    )
  })
  if (fields.length === 0 || fields.length > MOST_FIELDS) return undefined
  return fields.every((field) => field !== undefined) ? fields : undefined
}

function kindOf({ type, enum: choices }: SchemaPart): InputField['kind'] | undefined {
  if (choices) {
    const plain = choices.length > 0 && choices.every((each) => typeof each === 'string' || typeof each === 'number')
    return plain && !choices.includes('') ? 'choice' : undefined
  }
  if (type === 'string') return 'text'
  if (type === 'number' || type === 'integer') return 'number'
  return type === 'boolean' ? 'switch' : undefined
}

/** The input with one field changed; `undefined` takes it out. Text that is no object yet stays as it is. */
export function withField(text: string, name: string, value: unknown): string {
  const { value: input } = readInput(text)
  if (!input) return text
  const { [name]: _, ...others } = input
  // The order of the members stays, so that the JSON beside the form does not jump.
  const changed =
    value === undefined
      ? others
      : name in input
        ? Object.fromEntries(Object.entries(input).map(([key, old]) => [key, key === name ? value : old]))
        : { ...input, [name]: value }
  return JSON.stringify(changed, null, 2)
}
