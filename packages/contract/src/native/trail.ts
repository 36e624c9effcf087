import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Nullable, OneOf, Timestamp } from '../schemas.ts'

const Event = Type.Object({
  id: Id,
  seq: Type.Integer(),
  type: Type.String(),
  at: Timestamp,
  actor: Type.Object({
    kind: Type.String(),
    id: Type.String(),
    name: Type.String(),
    onBehalfOf: Type.Array(Type.String()),
  }),
  resource: Type.Object({ kind: Type.String(), id: Type.String() }),
  correlationId: Type.Optional(Type.String()),
  causationId: Type.Optional(Type.String()),
  data: Type.Record(Type.String(), Type.Unknown()),
})

const Types = Type.String({
  maxLength: 1024,
  description: 'Beginnings of event types, separated by commas: `promotion.,release.approved`',
})

/** The sealed trail: proof of it, and the tenant's events from any position on. */
export const trail = area({
  verify: {
    method: 'POST',
    path: '/wheelhouse/api/v1/audit/verify',
    group: 'Trail',
    summary: 'Recomputes the tenant’s hash chain and holds it against every signed checkpoint',
    permission: 'audit:read',
    verb: 'audit.verify',
    rate: 'native',
    transaction: 'none',
    status: 200,
    body: Type.Object({ chain: Type.Optional(OneOf(['audit', 'event'])) }),
    reply: Type.Object({
      chain: OneOf(['audit', 'event']),
      intact: Type.Boolean(),
      rows: Type.Integer(),
      broken: Type.Optional(Type.Object({ seq: Type.Integer(), reason: Type.String() })),
      checkpoints: Type.Integer(),
      signedTo: Type.Integer(),
      lastHash: Type.String(),
    }),
  },
  verifyRow: {
    method: 'POST',
    path: '/wheelhouse/api/v1/audit/{id}/verify',
    group: 'Trail',
    summary: 'The same, and where one row of the audit trail stands in it',
    permission: 'audit:read',
    verb: 'audit.verify',
    rate: 'native',
    transaction: 'none',
    status: 200,
    params: Type.Object({ id: Id }),
    reply: Type.Object({
      valid: Type.Boolean(),
      checked: Type.Integer({ description: 'How many rows were recomputed' }),
      seq: Type.Integer(),
      hash: Type.String(),
      checkpoint: Type.Optional(Type.Object({ seq: Type.Integer(), at: Timestamp, keyId: Type.String() })),
      reason: Type.Optional(Type.String()),
    }),
  },
  events: {
    method: 'GET',
    path: '/wheelhouse/api/v1/events',
    group: 'Trail',
    summary: 'Sealed events after a position, oldest first',
    permission: 'event:read',
    rate: 'native',
    transaction: 'none',
    query: Type.Object({
      after: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
      type: Type.Optional(Types),
    }),
    reply: Type.Object({ items: Type.Array(Event), next: Nullable(Type.Integer()) }),
  },
  eventStream: {
    kind: 'sse',
    method: 'GET',
    path: '/wheelhouse/api/v1/events/stream',
    group: 'Trail',
    summary:
      'The same as they happen; `after` or Last-Event-ID goes on where an earlier stream ended, without gap or repeat',
    permission: 'event:read',
    rate: 'native',
    query: Type.Object({
      after: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
      type: Type.Optional(Types),
    }),
    reply: Event,
  },
})
