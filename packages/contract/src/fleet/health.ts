import { Type } from 'typebox'
import { area } from '../endpoint.ts'

const Check = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('error')]),
  latencyMs: Type.Optional(Type.Number()),
  error: Type.Optional(Type.String()),
})

export const health = area({
  health: {
    kind: 'raw',
    method: 'GET',
    path: '/health',
    group: 'Health',
    summary:
      'Whether what the server stands on answers; 503 when not. The word `ok` for callers that accept text alone',
    permission: 'public',
    rate: 'none',
    produces: 'application/json',
    reply: Type.Object({
      status: Type.Union([Type.Literal('ok'), Type.Literal('degraded')]),
      version: Type.String(),
      uptime: Type.Number({ description: 'Seconds' }),
      totalLatencyMs: Type.Number(),
      checks: Type.Object({ database: Check, redis: Check }),
    }),
  },
})
