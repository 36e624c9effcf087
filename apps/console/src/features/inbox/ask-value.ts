import { sampleInput } from '../workflows/run-input.ts'

/** The value to begin with, for a step that asks for one. */
export function firstValue(schema: unknown): string {
  return JSON.stringify(sampleInput(schema), null, 2)
}

/** What was typed as the value of a step, any JSON; untouched it is what the schema begins with. */
export function readValue(text: string | undefined, schema: unknown): { value?: unknown; problem?: string } {
  try {
    return { value: JSON.parse(text ?? firstValue(schema)) as unknown }
  } catch {
    return { problem: 'The value is not JSON.' }
  }
}
