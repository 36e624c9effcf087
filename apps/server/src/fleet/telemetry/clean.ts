import { jsonb } from '../../kernel/db/index.ts'

/** Text as PostgreSQL can hold it: without NUL. */
export const cleanText = (text: string): string => text.replaceAll('\0', '')

/** A jsonb parameter without the escapes that jsonb refuses: NUL, and halves of surrogate pairs. */
export const cleanJsonb = (value: unknown): string =>
  jsonb(value)
    .replace(/(?<!\\)((?:\\\\)*)\\u0000/g, '$1')
    .replace(/(?<!\\)((?:\\\\)*)\\ud[89ab][0-9a-f]{2}/gi, '$1\\ufffd')
    .replace(/(?<!\\)((?:\\\\)*)\\ud[c-f][0-9a-f]{2}/gi, '$1\\ufffd')
