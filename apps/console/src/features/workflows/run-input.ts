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
