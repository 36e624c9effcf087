import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Nullable, OneOf, Timestamp } from '../schemas.ts'

/** What one bar of a waterfall stands for. */
const Kind = OneOf(['job', 'policy', 'approval', 'queue', 'run'])

const Span = Type.Object({
  spanId: Type.String({ description: '16 hexadecimal digits; for a run the one that its worker was given' }),
  parentSpanId: Nullable(Type.String()),
  kind: Kind,
  name: Type.String(),
  jobId: Type.String(),
  startedAt: Timestamp,
  endedAt: Nullable(Timestamp),
  durationMs: Nullable(Type.Integer()),
  status: OneOf(['ok', 'error', 'open']),
  attributes: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()])),
})

/** The waterfall of a trace, from what is stored: no collector is needed to see it. */
export const traces = area({
  traceSpans: {
    method: 'GET',
    path: '/wheelhouse/api/v1/traces/{id}/spans',
    group: 'Traces',
    summary: 'The spans of a trace in the order of their beginning: jobs, decisions, approvals, waiting and attempts',
    permission: 'trace:read',
    rate: 'native',
    params: Type.Object({ id: Type.String({ minLength: 1, maxLength: 128 }) }),
    reply: Type.Object({
      traceId: Type.String(),
      w3cTraceId: Nullable(Type.String({ description: 'Under this id the same spans are exported by OpenTelemetry' })),
      startedAt: Timestamp,
      endedAt: Nullable(Timestamp),
      /** Jobs beyond the bound are not shown. */
      truncated: Type.Boolean(),
      jobs: Type.Array(Type.Object({ id: Id, parentJobId: Nullable(Id), topic: Type.String(), state: Type.String() })),
      spans: Type.Array(Span),
    }),
    faults: ['RES_NOT_FOUND'],
  },
})
