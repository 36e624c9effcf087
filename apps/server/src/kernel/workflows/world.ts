import type { Instant } from '../clock/index.ts'
import type { SchemaReference } from './plan.ts'

/** All that the engine's pure half asks of its surroundings. */
export interface World {
  readonly now: Instant
  /** Why steps may not act, in words; absent where they may. */
  readonly refusal?: string | undefined
  /** Ids of sub-runs. */
  newId(): string
  /** The first problem of the value under the schema, in words; undefined when it fits or the reference names none. */
  validate(reference: SchemaReference, value: unknown): string | undefined
}
