import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { Logger } from 'pino'
import type { Config } from '../config/index.ts'
import type { Instant } from '../clock/index.ts'
import type { TraceContext } from './context.ts'

export interface SpanFacts {
  context: TraceContext
  parentSpanId?: string
  name: string
  kind: 'server' | 'internal' | 'producer' | 'consumer'
  /** Milliseconds UTC; fractions count. */
  start: Instant
  end: Instant
  /** Why it failed; absent: it did not. */
  failed?: string
  attributes: Readonly<Record<string, string | number | boolean>>
}

/** Hands finished spans on to a collector by OTLP over HTTP. Where none is configured it does nothing. */
export interface Tracer {
  /** False: nobody takes spans, so nobody needs to make any. */
  on: boolean
  record(span: SpanFacts): void
  /** Sends what is left. */
  close(): Promise<void>
}

const OFF: Tracer = { on: false, record: () => undefined, close: async () => undefined }

/** Opens the way to the configured collector. OpenTelemetry is loaded only then. A collector that is away costs spans, nothing else. */
export async function openTracer({ traces }: Pick<Config, 'traces'>, log: Logger): Promise<Tracer> {
  const { endpoint, headers, serviceName } = traces
  if (endpoint === undefined) return OFF
  const [{ SpanKind, SpanStatusCode, TraceFlags }, { BatchSpanProcessor }, { OTLPTraceExporter }, resources] =
    await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ])
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    headers: readHeaders(headers),
  })
  const processor = new BatchSpanProcessor({ exporter, scheduledDelayMillis: 1000, maxQueueSize: 8192 })
  const resource = resources.resourceFromAttributes({ 'service.name': serviceName })
  const scope = { name: 'wheelhouse' }
  const kinds = {
    server: SpanKind.SERVER,
    internal: SpanKind.INTERNAL,
    producer: SpanKind.PRODUCER,
    consumer: SpanKind.CONSUMER,
  }
  const contextOf = ({ traceId, spanId }: TraceContext) => ({ traceId, spanId, traceFlags: TraceFlags.SAMPLED })

  return {
    on: true,
    record({ context, parentSpanId, name, kind, start, end, failed, attributes }) {
      const spanContext = contextOf(context)
      const span: ReadableSpan = {
        name,
        kind: kinds[kind],
        spanContext: () => spanContext,
        ...(parentSpanId === undefined
          ? {}
          : { parentSpanContext: contextOf({ traceId: context.traceId, spanId: parentSpanId }) }),
        startTime: hrTime(start),
        endTime: hrTime(Math.max(start, end)),
        duration: hrTime(Math.max(0, end - start)),
        status: failed === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: failed },
        attributes: { ...attributes },
        links: [],
        events: [],
        ended: true,
        resource,
        instrumentationScope: scope,
        droppedAttributesCount: 0,
        droppedEventsCount: 0,
        droppedLinksCount: 0,
      }
      processor.onEnd(span)
    },
    async close() {
      await processor.shutdown().catch((error: unknown) => log.warn({ err: error }, 'The last spans were not taken'))
    },
  }
}

/** Seconds and nanoseconds. */
function hrTime(ms: number): [number, number] {
  const seconds = Math.floor(ms / 1000)
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)]
}

/** `name=value,name=value`, as OpenTelemetry's variable has it. */
const readHeaders = (text: string | undefined): Record<string, string> =>
  Object.fromEntries(
    (text ?? '').split(',').flatMap((pair) => {
      const at = pair.indexOf('=')
      return at <= 0 ? [] : [[pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())]]
    }),
  )
