import { generateKeyPairSync } from 'node:crypto'
import { create, toBinary } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { BusPacketSchema, JobPriority, JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { assert, property, uint8Array } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { signPacket } from '@wheelhouse/sdk/worker-signature'
import {
  decodePacket,
  encodePacket,
  jetStreamAck,
  MAX_PACKET_BYTES,
  newPacket,
  readsAsPacket,
  streamFrame,
} from './cap.ts'
import { verifyPacket } from './cap-signature.ts'

const AT = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const result = () =>
  newPacket('trace', 'worker-1', AT, {
    case: 'jobResult',
    value: { jobId: 'j1', status: JobStatus.SUCCEEDED, executionMs: 12n, workerId: 'worker-1', attempt: 3 },
  })

function decoded(bytes: Uint8Array) {
  const read = decodePacket(bytes)
  if (!read.ok) throw new Error(read.problem)
  return read.packet
}

describe('the codec', () => {
  test('carries a packet over the wire', () => {
    const packet = decoded(encodePacket(result()))
    expect(packet.payload).toMatchObject({
      case: 'jobResult',
      value: { jobId: 'j1', status: 5, executionMs: 12n, attempt: 3 },
    })
    expect(packet).toMatchObject({ traceId: 'trace', senderId: 'worker-1', protocolVersion: 1 })
  })

  test('writes the field numbers of the protocol', () => {
    const packet = create(BusPacketSchema, {
      traceId: 't',
      payload: { case: 'jobResult', value: { jobId: 'j', status: JobStatus.FAILED } },
    })
    expect(Buffer.from(encodePacket(packet)).toString('hex')).toBe('0a01745a050a016a1006')
  })

  test('ignores fields that it does not know', () => {
    const extra = new BinaryWriter().tag(99, WireType.LengthDelimited).string('later').finish()
    const packet = decoded(Buffer.concat([encodePacket(result()), extra]))
    expect(packet.payload.case).toBe('jobResult')
    expect(packet.$unknown).toBeUndefined()
  })

  test('answers undecodable, empty and oversized bytes with the problem', () => {
    expect(decodePacket(Buffer.from('{"json":1}'))).toEqual({ ok: false, problem: 'not a BusPacket' })
    expect(decodePacket(new Uint8Array())).toEqual({ ok: false, problem: 'no payload' })
    expect(decodePacket(new Uint8Array(MAX_PACKET_BYTES + 1))).toMatchObject({ ok: false })
  })

  test('never throws on arbitrary bytes', () => {
    assert(property(uint8Array({ maxLength: 300 }), (bytes) => typeof decodePacket(bytes).ok === 'boolean'))
  })

  test('refuses to encode more than the server takes', () => {
    const huge = newPacket('t', 's', AT, { case: 'alert', value: { message: 'x'.repeat(MAX_PACKET_BYTES) } })
    expect(() => encodePacket(huge)).toThrow(RangeError)
  })

  test('knows what a worker could take for a packet, whatever its size', () => {
    const huge = create(BusPacketSchema, {
      payload: { case: 'jobRequest', value: { topic: 'job.x', env: { A: 'x'.repeat(MAX_PACKET_BYTES) } } },
    })
    expect(readsAsPacket(toBinary(BusPacketSchema, huge))).toBe(true)
    for (const answer of ['', '{}', '{"stream":"CORDUM_SYS","seq":1}', '[]', 'text', 'R'])
      expect(readsAsPacket(Buffer.from(answer))).toBe(false)
  })

  test('acknowledges like a stream', () => {
    expect(JSON.parse(Buffer.from(jetStreamAck(7)).toString())).toEqual({ stream: 'CORDUM_SYS', seq: 7 })
  })
})

describe('the stream frame', () => {
  test('says the payload at the top level and under payload, with 64-bit numbers as text and enums by name', () => {
    const jobResult = {
      jobId: 'j1',
      status: 'JOB_STATUS_SUCCEEDED',
      executionMs: '12',
      workerId: 'worker-1',
      attempt: 3,
    }
    expect(streamFrame(result())).toEqual({
      traceId: 'trace',
      senderId: 'worker-1',
      createdAt: '2026-01-02T03:04:05.678Z',
      protocolVersion: 1,
      jobResult,
      payload: { jobResult },
    })
  })

  test('leaves defaults out', () => {
    const packet = newPacket('', '', AT, {
      case: 'jobRequest',
      value: { jobId: 'j', topic: 'job.a', priority: JobPriority.BATCH },
    })
    expect(streamFrame(packet)['jobRequest']).toEqual({ jobId: 'j', topic: 'job.a', priority: 'JOB_PRIORITY_BATCH' })
  })

  test('survives a time that JSON cannot say', () => {
    const packet = decoded(
      toBinary(BusPacketSchema, { ...result(), createdAt: { ...must(result().createdAt), seconds: 999_999_999_999n } }),
    )
    expect(streamFrame(packet)).toMatchObject({ traceId: 'trace', jobResult: { jobId: 'j1' } })
  })
})

describe('signatures', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

  test('are valid for the signer alone', () => {
    const bytes = signPacket(result(), privateKey)
    expect(verifyPacket(bytes, publicKey)).toBe(true)
    expect(verifyPacket(bytes, generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)).toBe(false)
    expect(decoded(bytes).payload.case).toBe('jobResult')
  })

  test('break with any changed byte, and an unsigned packet has none', () => {
    const bytes = signPacket(result(), privateKey)
    const changed = Buffer.from(bytes)
    changed[2] = (changed[2] ?? 0) ^ 1
    expect(verifyPacket(changed, publicKey)).toBe(false)
    expect(verifyPacket(encodePacket(result()), publicKey)).toBe(false)
    expect(verifyPacket(Buffer.from('garbage'), publicKey)).toBe(false)
  })

  test('are verified on the bytes as they came, in whatever order the sender wrote the fields', () => {
    const [first, rest] = [Buffer.from('0a0174', 'hex'), Buffer.from('5a030a016a', 'hex')]
    const signed = signPacket(decoded(Buffer.concat([first, rest])), privateKey)
    const signature = signed.subarray(8)
    expect(verifyPacket(Buffer.concat([first, signature, rest]), publicKey)).toBe(true)
    expect(verifyPacket(Buffer.concat([rest, signature, first]), publicKey)).toBe(false)
  })
})

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('missing')
  return value
}
