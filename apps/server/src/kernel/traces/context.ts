import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash, randomUUID } from 'node:crypto'

/** Where one is in a W3C trace: the trace, and the span that whatever begins now is part of. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  traceId: string
  /** 16 hexadecimal digits. */
  spanId: string
}

const TRACE_PARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/

/** Reads a `traceparent`; undefined for one that is none, or names nothing (W3C Trace Context, 3.2). */
export function readTraceparent(text: string | undefined): TraceContext | undefined {
  const [, traceId = '', spanId = ''] = TRACE_PARENT.exec(text ?? '') ?? []
  return traceId === '' || /^0+$/.test(traceId) || /^0+$/.test(spanId) || text?.startsWith('ff')
    ? undefined
    : { traceId, spanId }
}

/** As it travels; always with the flag that says that it is recorded. */
export const contextText = ({ traceId, spanId }: TraceContext): string => `00-${traceId}-${spanId}-01`

/** A new span in a trace, or in a new one. */
export function newTrace(traceId?: string, spanId?: string): TraceContext {
  return {
    traceId: traceId ?? randomUUID().replaceAll('-', ''),
    spanId: spanId ?? randomUUID().replaceAll('-', '').slice(16),
  }
}

/** The id of a trace that everybody can compute who knows what it is of. */
export const traceIdOf = (of: string): string => createHash('sha256').update(of).digest('hex').slice(0, 32)

/** The id of a span that everybody can compute who knows what it is of: replicas need not tell each other. */
export const spanIdOf = (...of: readonly (string | number)[]): string =>
  createHash('sha256').update(of.join('\0')).digest('hex').slice(0, 16)

const store = new AsyncLocalStorage<TraceContext>()

/** Runs something as part of a span. */
export const within = <T>(context: TraceContext, run: () => T): T => store.run(context, run)

/** The span that the caller runs in; undefined outside a request. */
export const currentTrace = (): TraceContext | undefined => store.getStore()
