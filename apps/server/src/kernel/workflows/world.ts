import type { Instant } from '../clock/index.ts'
import type { SchemaReference } from './plan.ts'
import type { Refusal } from './starter.ts'

/** All that the engine's pure half asks of its surroundings. */
export interface World {
  readonly now: Instant
  /** Why steps may not act; absent where they may. */
  readonly refusal?: Refusal | undefined
  /** Ids of sub-runs. */
  newId(): string
  /** The first problem of the value under the schema, in words; undefined when it fits or the reference names none. */
  validate(reference: SchemaReference, value: unknown): string | undefined
}
