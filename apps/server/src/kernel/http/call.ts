import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { Fault } from '@wheelhouse/contract'
import type { Bound, RequestFacts } from './context.ts'
import { newTrace, readTraceparent } from '../traces/index.ts'
import { admit, type Edge, type Passage, perform, refusal } from './edge.ts'
import { readParts } from './parts.ts'

/** What a caller through another door than HTTP presents. Credentials and the tenant stand in `headers`, by their HTTP names. */
export interface Call {
  headers: IncomingHttpHeaders
  ip: string
  /** How the other protocol names the operation; for the trail. */
  path: string
  params?: object
  body?: unknown
  signal: AbortSignal
}

/** `fault` is set where it was refused; `body` is then the surface's error body. */
export interface Answered {
  status: number
  body: unknown
  fault?: Fault
}

/**
 * Calls an endpoint as HTTP would: the same credential, budget, permission, validation, transaction and trail (decisions D8).
 * For endpoints that answer once, with JSON. Never throws.
 */
export async function callEndpoint(edge: Edge, bound: Bound, call: Call): Promise<Answered> {
  const dialect = edge.dialects[bound.surface]
  const given = call.headers['traceparent']
  const parent = readTraceparent(typeof given === 'string' ? given : undefined)
  const trace = newTrace(parent?.traceId)
  const facts: RequestFacts = {
    id: randomUUID(),
    surface: bound.surface,
    method: bound.endpoint.method,
    path: call.path,
    ip: call.ip,
    userAgent: (call.headers['user-agent'] ?? '').slice(0, 512),
    traceId: trace.traceId,
    spanId: trace.spanId,
    ...(parent ? { parentSpanId: parent.spanId } : {}),
    header(name) {
      const value = call.headers[name.toLowerCase()]
      return Array.isArray(value) ? value[0] : value
    },
    signal: call.signal,
  }
  const passage: Passage = { bound, dialect, facts, headers: {}, note: {} }
  try {
    await admit(edge, passage, call, {}, false)
    const raw = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body))
    const parts = readParts(edge.cursorSecret, passage, { params: call.params ?? {}, query: {}, body: raw })
    const sent = await perform(edge, passage, parts, raw)
    return { status: sent.status, body: typeof sent.body === 'string' ? JSON.parse(sent.body) : null }
  } catch (error) {
    const sent = refusal(edge, error, dialect, facts, {})
    return {
      status: sent.status,
      body: typeof sent.body === 'string' ? JSON.parse(sent.body) : null,
      fault: error instanceof Fault ? error : new Fault('SYS_INTERNAL', undefined, { cause: error }),
    }
  }
}
