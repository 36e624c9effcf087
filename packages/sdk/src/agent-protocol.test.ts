import { describe, expect, test } from 'vitest'
import {
  CHUNK_BYTES,
  BASE_FRAME_BYTES,
  decodeAgentMessage,
  decodeServerMessage,
  encodeMessage,
} from './agent-protocol.ts'
import type { AgentMessage, ServerMessage } from './agent-protocol.ts'

const from = (frame: unknown) => decodeAgentMessage(JSON.stringify(frame))
const code = (frame: string) => {
  try {
    decodeAgentMessage(frame)
    return undefined
  } catch (error) {
    return (error as { code?: string }).code
  }
}

describe('frames of the reference agent', () => {
  test('a heartbeat without a protocol version', () => {
    const payload = { instance_id: 'h', timestamp: '2026-01-01T00:00:00.123456789Z', uptime_seconds: 4 }
    expect(from({ protocol_version: '', type: 'heartbeat', payload })).toEqual({ type: 'heartbeat', payload })
  })

  test('metrics whose disks could not be read', () => {
    const payload = {
      instance_id: 'h',
      timestamp: 't',
      cpu: { usage_percent: 1, load_avg_1: 1, load_avg_5: 1, load_avg_15: 1, core_count: 2 },
      memory: {
        total_bytes: 2 ** 60,
        used_bytes: 1,
        free_bytes: 1,
        cached_bytes: 0,
        usage_percent: 1,
        swap_total_bytes: 0,
        swap_used_bytes: 0,
      },
      disk: null,
      network: { bytes_sent: 0, bytes_recv: 0, packets_sent: 0, packets_recv: 0 },
    }
    expect(from({ type: 'metrics', payload })).toEqual({ type: 'metrics', payload })
  })

  test('a session is taken from the envelope or the payload', () => {
    const data = Buffer.from('x').toString('base64')
    expect(from({ type: 'terminal:output', session_id: 's', payload: { data } })).toMatchObject({ session_id: 's' })
    expect(from({ type: 'terminal:output', payload: { session_id: 's', data } })).toMatchObject({ session_id: 's' })
    expect(decodeServerMessage('{"type":"terminal:close","session_id":"s"}')).toMatchObject({
      payload: { session_id: 's' },
    })
  })

  test('a batch of usage records keeps its camel case', () => {
    const record = {
      provider: 'openai',
      model: 'm',
      inputTokens: 1,
      outputTokens: 2,
      costUsd: 0.5,
      ts: 1_700_000_000_000,
    }
    expect(from({ protocol_version: '1.0', type: 'llm_usage:batch', payload: { records: [record] } }).payload).toEqual({
      records: [record],
    })
  })
})

describe('what is refused', () => {
  test.each([
    ['no JSON', 'nonsense', 'PARSE_ERROR'],
    ['no object', '[1]', 'PARSE_ERROR'],
    ['no type', '{"payload":{}}', 'UNKNOWN_MESSAGE_TYPE'],
    ['a type that only objects inherit', '{"type":"toString","payload":{}}', 'UNKNOWN_MESSAGE_TYPE'],
    ['a type of the other direction', '{"type":"exec:start","payload":{}}', 'UNKNOWN_MESSAGE_TYPE'],
    ['a member that is missing', '{"type":"heartbeat","payload":{"instance_id":"h"}}', 'INVALID_PAYLOAD'],
    ['a number that is text', '{"type":"terminal:created","payload":{"pid":"7"}}', 'INVALID_PAYLOAD'],
    [
      'an id that is too long',
      `{"type":"terminal:created","session_id":"${'x'.repeat(129)}","payload":{"pid":7}}`,
      'INVALID_PAYLOAD',
    ],
    ['data that is no base64', '{"type":"terminal:output","payload":{"data":"a*b="}}', 'INVALID_PAYLOAD'],
  ])('%s', (_, frame, expected) => expect(code(frame)).toBe(expected))

  test('a command with a NUL byte', () => {
    const frame = JSON.stringify({
      type: 'exec:start',
      payload: { task_id: 't', attempt: 1, timeout_ms: 1, max_output_bytes: 1, command: 'a\0b' },
    })
    expect(() => decodeServerMessage(frame)).toThrow('command')
  })
})

test('unknown members are dropped, absent and null optional ones stay away', () => {
  const payload = {
    task_id: 't',
    attempt: 1,
    timeout_ms: 1,
    max_output_bytes: 1,
    command: 'x',
    cwd: null,
    future: true,
  }
  const { payload: checked } = decodeServerMessage(JSON.stringify({ type: 'exec:start', payload }))
  expect(Object.keys(checked).toSorted()).toEqual(['attempt', 'command', 'max_output_bytes', 'task_id', 'timeout_ms'])
})

test('what is encoded is decoded to the same', () => {
  const agent: AgentMessage = { type: 'exec:started', payload: { task_id: 't', attempt: 2, pid: 9, started_at: 'now' } }
  const server: ServerMessage = {
    type: 'terminal:resize',
    session_id: 's',
    payload: { session_id: 's', cols: 1, rows: 2 },
  }
  expect(decodeAgentMessage(encodeMessage(agent))).toEqual(agent)
  expect(decodeServerMessage(encodeMessage(server))).toEqual(server)
})

test('the largest piece of output fits into a base frame', () => {
  const payload = {
    task_id: 'x'.repeat(128),
    attempt: 2_147_483_647,
    stream: 'stdout' as const,
    seq: Number.MAX_SAFE_INTEGER,
  }
  const frame = encodeMessage({
    type: 'exec:output',
    payload: { ...payload, data: Buffer.alloc(CHUNK_BYTES).toString('base64') },
  })
  expect(Buffer.byteLength(frame)).toBeLessThan(BASE_FRAME_BYTES)
})
