/**
 * Columns of many rows as array parameters of one statement. The driver's own way quotes and escapes every element and costs more than
 * the rest of a batch together; these write what needs no quotes as it is, and text as PostgreSQL's binary form.
 */

/** Needs neither quotes nor escapes in an array literal; four characters may be the word NULL. */
const BARE = /^[A-Za-z0-9_.:~+-]+$/

/** Short values: ids, words, numbers. For `uuid[]`, `text[]`, `bigint[]`, `int[]`, `smallint[]`. */
export function words(values: readonly (string | number | null)[]): string {
  let text = '{'
  for (const [index, value] of values.entries()) {
    if (index > 0) text += ','
    if (value === null) text += 'NULL'
    else if (typeof value === 'number') text += value
    else if (BARE.test(value) && value.length !== 4) text += value
    else text += `"${value.replace(/["\\]/g, '\\$&')}"`
  }
  return `${text}}`
}

/** Milliseconds for `timestamptz[]`. */
export function instants(values: readonly (number | null)[]): string {
  let text = '{'
  let last: number | null = null
  let spelled = 'NULL'
  for (const [index, value] of values.entries()) {
    // Rows of one batch were mostly made in the same milliseconds.
    if (value !== last) {
      last = value
      spelled = value === null ? 'NULL' : new Date(value).toISOString()
    }
    text += index > 0 ? `,${spelled}` : spelled
  }
  return `${text}}`
}

/** For `bytea[]`, from hex. */
export const hexes = (values: readonly (string | null)[]): string =>
  `{${values.map((hex) => (hex === null ? 'NULL' : `"\\\\x${hex}"`)).join(',')}}`

const TEXT_OID = 25

/** Text of any length and content, for `text[]`. */
export function texts(values: readonly (string | null)[]): Buffer {
  let most = 20
  for (const value of values) most += 4 + (value === null ? 0 : value.length * 3)
  const buffer = Buffer.allocUnsafe(most)
  buffer.writeInt32BE(values.length === 0 ? 0 : 1, 0)
  buffer.writeInt32BE(1, 4)
  buffer.writeInt32BE(TEXT_OID, 8)
  buffer.writeInt32BE(values.length, 12)
  buffer.writeInt32BE(1, 16)
  let end = values.length === 0 ? 12 : 20
  for (const value of values) {
    const bytes = value === null ? -1 : buffer.write(value, end + 4)
    buffer.writeInt32BE(bytes, end)
    end += 4 + Math.max(0, bytes)
  }
  return buffer.subarray(0, end)
}
