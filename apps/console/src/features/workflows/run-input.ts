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
