import pg from 'pg'
import type { Instant } from '../clock/index.ts'

const { types } = pg

// timestamptz arrives as integer milliseconds, int8 as a number: both stay below 2^53 in every column that we have.
types.setTypeParser(types.builtins.TIMESTAMPTZ, (text) => Date.parse(text))
types.setTypeParser(types.builtins.INT8, Number)

/** An instant as a statement's parameter. */
export function at(instant: Instant): Date
export function at(instant: Instant | null | undefined): Date | null
export function at(instant: Instant | null | undefined): Date | null {
  return instant === null || instant === undefined ? null : new Date(instant)
}

/** A value as a jsonb parameter (the driver would turn an array into a PostgreSQL array). */
export const jsonb = (value: unknown): string => JSON.stringify(value ?? null)
