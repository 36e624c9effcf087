import { sign, verify, type KeyObject } from 'node:crypto'
import { toBinary } from '@bufbuild/protobuf'
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { BusPacketSchema, type BusPacket } from '@wheelhouse/contract/proto/cap_pb'

const SIGNATURE_FIELD = 14

/** The bytes of the packet with its ECDSA P-256 signature in field 14, ASN.1 DER (jobs.md §29.5). */
export function signPacket(packet: BusPacket, privateKey: KeyObject): Uint8Array {
  const bare = toBinary(BusPacketSchema, { ...packet, signature: new Uint8Array() })
  const signature = sign('sha256', bare, privateKey)
  const field = new BinaryWriter().tag(SIGNATURE_FIELD, WireType.LengthDelimited).bytes(signature).finish()
  return Buffer.concat([bare, field])
}

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
