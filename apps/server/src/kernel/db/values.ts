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

/** NUL and halves of characters as JSON spells them: an escape after an even number of backslashes. */
const UNSTORABLE = /(?<!\\)((?:\\\\)*)\\u(0000|d[89a-f][0-9a-f]{2})/g

/**
 * A value as a jsonb parameter (the driver would turn an array into a PostgreSQL array). What jsonb cannot hold goes, as in `storable`: NUL
 * without a trace, half a character as U+FFFD. Text from outside must not make a row that can never be written.
 */
export function jsonb(value: unknown): string {
  const json = JSON.stringify(value ?? null)
  return json.includes('\\u0000') || json.includes('\\ud') ? json.replace(UNSTORABLE, cleaned) : json
}

const cleaned = (_: string, slashes: string, code: string): string => slashes + (code === '0000' ? '' : '\ufffd')

/** The same of text: what a column of text can hold, at most so many characters. */
export const storable = (text: string, most = text.length): string =>
  text.replaceAll('\0', '').slice(0, most).toWellFormed()
