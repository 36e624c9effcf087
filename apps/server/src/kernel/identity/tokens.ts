import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

export type KeyKind = 'user' | 'cli' | 'tryit' | 'service' | 'agent' | 'worker' | 'system' | 'session'

/** What the database holds of a secret: SHA-256, which is also how it is found. */
export const secretHash = (token: string): Buffer => hash('sha256', token, 'buffer')

const checksum = (text: string): string => crc32(text).toString(36).padStart(7, '0')

/** A new API key, `wh_<kind>_<id>_<secret>_<checksum>` (product.md): 32 random bytes; the checksum lets scanners and typos be told early. */
export function newKeyToken(kind: KeyKind, id: string): string {
  const body = `wh_${kind}_${id.replaceAll('-', '').slice(-12)}_${randomBytes(32).toString('hex')}`
  return `${body}_${checksum(body)}`
}

/** A new opaque token of 32 random bytes behind a prefix that names its kind (jobs tests for `session-`). */
export const newOpaqueToken = (prefix: string): string => `${prefix}${randomBytes(32).toString('base64url')}`

export const isJwt = (text: string): boolean => text.startsWith('ey') && text.split('.').length === 3
