import { type KeyObject, verify } from 'node:crypto'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

const SIGNATURE_FIELD = 14

/**
 * Whether received bytes are signed by the holder of the key. The field is cut out of the bytes as they came, because
 * encoding a packet again is not canonical across languages (jobs.md §29.5). Unsigned and undecodable bytes are not.
 */
export function verifyPacket(bytes: Uint8Array, publicKey: KeyObject): boolean {
  try {
    const { bare, signature } = cut(bytes)
    return signature !== undefined && verify('sha256', bare, publicKey, signature)
  } catch {
    return false
  }
}

function cut(bytes: Uint8Array): { bare: Buffer; signature: Uint8Array | undefined } {
  const reader = new BinaryReader(bytes)
  const kept: Uint8Array[] = []
  let signature: Uint8Array | undefined
  while (reader.pos < reader.len) {
    const start = reader.pos
    const [field, wire] = reader.tag()
    if (field === SIGNATURE_FIELD && wire === WireType.LengthDelimited) signature = reader.bytes()
    else {
      reader.skip(wire, field)
      kept.push(bytes.subarray(start, reader.pos))
    }
  }
  return { bare: Buffer.concat(kept), signature }
}
