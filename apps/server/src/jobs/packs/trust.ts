import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { Fault } from '@wheelhouse/contract'
import type { Tx } from '../../kernel/db/index.ts'
import { type Data, findDocument } from '../../kernel/tenant-config/index.ts'

/** Whose packs a tenant trusts, and whether it takes any others. */
export const TRUST_ID = 'pack_trust'

export interface TrustedKey {
  id: string
  publicKey: KeyObject
}

export interface PackTrust {
  keys: readonly TrustedKey[]
  require: boolean
}

export type SignatureState = { state: 'verified'; key_id: string } | { state: 'unsigned' | 'untrusted' }

const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
const ADVICE = 'write {keys: [{id, publicKey: an Ed25519 key as PEM, base64 or hex}], require: true or false}'

const refuse = (what: string): never => {
  throw new Fault('VAL_SCHEMA', {}, { message: `pack_trust: ${what}; ${ADVICE}` })
}

/** An Ed25519 public key as PEM, or its 32 bytes as base64 or hex. */
function publicKey(written: string): KeyObject {
  const plain = written.trim()
  const raw = /^[0-9a-fA-F]{64}$/.test(plain) ? Buffer.from(plain, 'hex') : Buffer.from(plain, 'base64')
  try {
    const key = plain.startsWith('-----BEGIN')
      ? createPublicKey(plain)
      : createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' })
    if (key.asymmetricKeyType === 'ed25519' && (plain.startsWith('-----BEGIN') || raw.length === 32)) return key
  } catch {
    // Said below, whatever was wrong with it.
  }
  return refuse('a publicKey is no Ed25519 key')
}

/** Reads the document system/pack_trust. Throws VAL_SCHEMA that says what to write. */
export function readTrust(data: Data): PackTrust {
  const { keys = [], require = false, ...more } = data
  const [unknown] = Object.keys(more)
  if (unknown !== undefined) refuse(`"${unknown}" is not known`)
  if (!Array.isArray(keys) || typeof require !== 'boolean') return refuse('keys is a list and require a boolean')
  const read = keys.map((each: unknown): TrustedKey => {
    const { id, publicKey: key } = (typeof each === 'object' && each !== null ? each : {}) as Record<string, unknown>
    if (typeof id !== 'string' || id === '' || typeof key !== 'string') return refuse('a key has an id and a publicKey')
    return { id, publicKey: publicKey(key) }
  })
  if (new Set(read.map(({ id }) => id)).size !== read.length) refuse('two keys have the same id')
  return { keys: read, require }
}

/** What the tenant has written about trust; without a document nobody is trusted and nothing required. */
export async function packTrust(tx: Tx): Promise<PackTrust> {
  const document = await findDocument(tx, 'system', TRUST_ID)
  return document ? readTrust(document.data) : { keys: [], require: false }
}

/** The 64 bytes of a signature that is written raw, as base64 or as hex. Undefined when it is none. */
function signatureBytes(written: Uint8Array): Buffer | undefined {
  const bytes = Buffer.from(written)
  if (bytes.length === 64) return bytes
  const plain = bytes.toString('utf8').trim()
  if (/^[0-9a-fA-F]{128}$/.test(plain)) return Buffer.from(plain, 'hex')
  const decoded = Buffer.from(plain, 'base64')
  return decoded.length === 64 ? decoded : undefined
}

/** What signatures are made over, and the one that stands in the bundle itself. */
interface Signed {
  sha256: string
  contentSha256: string
  signature: Uint8Array | undefined
}

/**
 * Who vouches for a bundle. A detached signature is Ed25519 over the lower-case hex SHA-256 of the bundle's bytes; one that stands in
 * the bundle as `pack.sig`, over that of its other files. Throws VAL_SCHEMA when the tenant requires a trusted one and there is none.
 */
export function checkSignature(trust: PackTrust, bundle: Signed, detached: Uint8Array | undefined): SignatureState {
  const { sha256, contentSha256, signature } = bundle
  const found =
    detached !== undefined && detached.length > 0
      ? stateOf(trust, sha256, detached)
      : stateOf(trust, contentSha256, signature)
  if (trust.require && found.state !== 'verified') {
    const message =
      found.state === 'unsigned'
        ? 'pack signature required: the bundle is not signed, and this tenant takes only packs signed by a trusted key'
        : 'pack signature not trusted: none of the keys in system/pack_trust made it for this bundle'
    throw new Fault('VAL_SCHEMA', { sha256 }, { message })
  }
  return found
}

function stateOf({ keys }: PackTrust, signed: string, signature: Uint8Array | undefined): SignatureState {
  if (signature === undefined || signature.length === 0) return { state: 'unsigned' }
  const bytes = signatureBytes(signature)
  const signer = bytes && keys.find((key) => verify(null, Buffer.from(signed), key.publicKey, bytes))
  return signer ? { state: 'verified', key_id: signer.id } : { state: 'untrusted' }
}
