import { Fault, type FaultCode } from '@wheelhouse/contract'
import type { WebSocket } from 'ws'

/** The envelope of fleet.md §3.6. */
export interface Envelope {
  protocolVersion: '1.0'
  channel: string
  type: string
  instanceId?: string
  correlationId?: string
  ts: number
  data: unknown
}

/** What a console sends: an envelope, or one of the short forms that real clients use. */
export interface Received {
  channel?: string
  type?: string
  instanceId?: string
  correlationId?: string
  data: Record<string, unknown>
  /** `{subscribe: [...]}` and `{unsubscribe: [...]}` of the metric stream. */
  subscribe?: string[]
  unsubscribe?: string[]
}

/** Bytes that may wait for a slow reader before its socket is ended. */
const MOST_BUFFERED = 4 * 1024 * 1024

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value.length <= 128 ? value : undefined
const texts = (value: unknown): string[] | undefined =>
  Array.isArray(value) ? value.flatMap((each) => text(each) ?? []).slice(0, 1000) : undefined

/** Reads a frame; undefined where it is no JSON object. */
export function readFrame(raw: Buffer): Received | undefined {
  let frame: unknown
  try {
    frame = JSON.parse(raw.toString('utf8'))
  } catch {
    return undefined
  }
  if (!isObject(frame)) return undefined
  const known = {
    channel: text(frame['channel']),
    type: text(frame['type']),
    instanceId: text(frame['instanceId']),
    correlationId: text(frame['correlationId']),
    subscribe: texts(frame['subscribe']),
    unsubscribe: texts(frame['unsubscribe']),
  }
  const present = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined))
  return { ...present, data: isObject(frame['data']) ? frame['data'] : {} }
}

/** Sends one message; a reader that does not keep up is let go rather than kept in memory. */
export function send(socket: WebSocket, message: object): void {
  if (socket.readyState !== socket.OPEN) return
  if (socket.bufferedAmount > MOST_BUFFERED) socket.close(1013, 'too slow')
  else socket.send(JSON.stringify(message))
}

export const envelope = (
  now: number,
  channel: string,
  type: string,
  data: unknown,
  more: { instanceId?: string | undefined; correlationId?: string | undefined } = {},
): Envelope => ({ protocolVersion: '1.0', channel, type, ...more, ts: now, data })

const CODES: Partial<Record<FaultCode, string>> = {
  RES_ROUTE_NOT_FOUND: 'UNKNOWN_MESSAGE_TYPE',
  RES_NOT_FOUND: 'NO_INSTANCE_ID',
  VAL_SCHEMA: 'INVALID_PAYLOAD',
}

/** The codes of fleet.md §3.6 for what cannot be done. */
export const errorData = (error: unknown): { code: string; message: string } =>
  error instanceof Fault
    ? { code: CODES[error.code] ?? (error.status === 403 ? 'FORBIDDEN' : error.code), message: error.message }
    : { code: 'HANDLER_ERROR', message: 'The message could not be handled' }
