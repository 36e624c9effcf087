import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { toBinary } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { type BusPacket, BusPacketSchema } from '@wheelhouse/contract/proto/cap_pb'

const SIGNATURE_FIELD = 14

/** The bytes of the packet with its ECDSA P-256 signature in field 14, ASN.1 DER (jobs.md §29.5). `privateKey`: PEM or a key. */
export function signPacket(packet: BusPacket, privateKey: KeyObject | string): Uint8Array {
  const key = typeof privateKey === 'string' ? createPrivateKey(privateKey) : privateKey
  const bare = toBinary(BusPacketSchema, { ...packet, signature: new Uint8Array() })
  const field = new BinaryWriter()
    .tag(SIGNATURE_FIELD, WireType.LengthDelimited)
    .bytes(sign('sha256', bare, key))
    .finish()
  return Buffer.concat([bare, field])
}
