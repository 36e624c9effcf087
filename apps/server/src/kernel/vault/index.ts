import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'

const VERSION = 'wh1'

/**
 * Envelope encryption: each value is sealed under a data key of its own, and that under the vault's key (AES-256-GCM both).
 * `context` (what the value is, and whose) is bound as additional data: a sealed value moved to another row does not open.
 */
export interface Vault {
  seal(plain: string, context: string): string
  /** Throws when the value was changed, moved, or sealed under a key that the vault does not hold. */
  open(sealed: string, context: string): string
  /** Whether the value is sealed under an older key and should be sealed again. */
  isStale(sealed: string): boolean
}

const keyId = (key: Buffer): string => createHash('sha256').update(key).digest('hex').slice(0, 8)

function encrypt(key: Buffer, plain: Buffer, context: string): Buffer {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  cipher.setAAD(Buffer.from(context))
  const body = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), body])
}

function decrypt(key: Buffer, sealed: Buffer, context: string): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12))
  decipher.setAAD(Buffer.from(context))
  decipher.setAuthTag(sealed.subarray(12, 28))
  return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()])
}

/** Opens the vault with its keys, newest first; each is 32 bytes. Older ones only open what they once sealed. */
export function openVault(keys: readonly [Buffer, ...Buffer[]]): Vault {
  for (const key of keys) if (key.length !== 32) throw new Error('A vault key must be 32 bytes')
  const byId = new Map(keys.map((key) => [keyId(key), key]))
  const [current] = keys
  const currentId = keyId(current)

  const parts = (sealed: string) => {
    const [version, id = '', wrapped = '', body = ''] = sealed.split('.')
    const key = byId.get(id)
    if (version !== VERSION || !key) throw new Error('The vault does not hold the key of this value')
    return { key, wrapped: Buffer.from(wrapped, 'base64url'), body: Buffer.from(body, 'base64url') }
  }

  return {
    seal(plain, context) {
      const dataKey = randomBytes(32)
      const body = encrypt(dataKey, Buffer.from(plain), context)
      const wrapped = encrypt(current, dataKey, context)
      return `${VERSION}.${currentId}.${wrapped.toString('base64url')}.${body.toString('base64url')}`
    },
    open(sealed, context) {
      const { key, wrapped, body } = parts(sealed)
      return decrypt(decrypt(key, wrapped, context), body, context).toString()
    },
    isStale: (sealed) => sealed.split('.')[1] !== currentId,
  }
}
