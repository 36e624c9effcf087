import { create, fromBinary, toBinary, toJson, type MessageInitShape } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { BusPacketSchema, type BusPacket } from '@wheelhouse/contract/proto/cap_pb'
import type { Instant } from '../clock/index.ts'

/** What a nats-server takes by default; a packet is never larger on either way. */
export const MAX_PACKET_BYTES = 1_048_576

/** The one-of of a packet, e.g. `{ case: 'jobResult', value: { jobId, status } }`. */
export type PacketPayload = NonNullable<MessageInitShape<typeof BusPacketSchema>['payload']>

export type Decoded = { ok: true; packet: BusPacket } | { ok: false; problem: string }

/** A packet of wire version 1 (jobs.md §29). */
export function newPacket(traceId: string, senderId: string, at: Instant, payload: PacketPayload): BusPacket {
  return create(BusPacketSchema, { traceId, senderId, createdAt: timestampFromMs(at), protocolVersion: 1, payload })
}

/** The packet's bytes. Throws when they exceed MAX_PACKET_BYTES: the server would drop the connection. */
export function encodePacket(packet: BusPacket): Uint8Array {
  const bytes = toBinary(BusPacketSchema, packet)
  if (bytes.length > MAX_PACKET_BYTES)
    throw new RangeError(`the packet has ${bytes.length} bytes, more than ${MAX_PACKET_BYTES}`)
  return bytes
}

/** Reads a packet; bytes that are none are an answer, not an exception, since anyone may send them. Unknown fields are ignored. */
export function decodePacket(bytes: Uint8Array): Decoded {
  if (bytes.length > MAX_PACKET_BYTES) return { ok: false, problem: `more than ${MAX_PACKET_BYTES} bytes` }
  const packet = parse(bytes)
  if (packet === undefined) return { ok: false, problem: 'not a BusPacket' }
  return packet.payload.case === undefined ? { ok: false, problem: 'no payload' } : { ok: true, packet }
}

/** Whether a worker could take these bytes, of whatever size, for a job, a cancel or another packet. */
export function readsAsPacket(bytes: Uint8Array): boolean {
  return parse(bytes)?.payload.case !== undefined
}

function parse(bytes: Uint8Array): BusPacket | undefined {
  try {
    return fromBinary(BusPacketSchema, bytes, { readUnknownFields: false })
  } catch {
    return undefined
  }
}

/** The acknowledgement that JetStream clients of CAP expect for a publish; sent after the commit (decisions D2). */
export function jetStreamAck(seq: number): Uint8Array {
  return Buffer.from(JSON.stringify({ stream: 'CORDUM_SYS', seq }))
}

/**
 * The packet as WebSocket clients get it (jobs.md §19): protobuf JSON with defaults left out, its payload at the top level
 * and, for dashboards that look there, once more under `payload`.
 */
export function streamFrame(packet: BusPacket): Record<string, unknown> {
  const frame = asJson(packet) as Record<string, unknown>
  const { case: name } = packet.payload
  return name === undefined || frame[name] === undefined ? frame : { ...frame, payload: { [name]: frame[name] } }
}

/** A sender may state a time that JSON cannot say (year 10000); the frame is worth more than that time. */
function asJson(packet: BusPacket) {
  try {
    return toJson(BusPacketSchema, packet)
  } catch {
    return toJson(BusPacketSchema, { ...packet, createdAt: undefined })
  }
}
