import { Type } from 'typebox'
import { area } from '../endpoint.ts'

const Component = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('error')]),
  detail: Type.Optional(Type.String()),
})

/** platform.md §2: nobody is asked, nothing is counted. */
export const open = area({
  ping: {
    method: 'GET',
    path: '/api/v1/ping',
    group: 'Health',
    summary: 'Whether the server runs; asks nothing that it depends on',
    permission: 'public',
    rate: 'none',
    reply: Type.Object({ message: Type.Literal('pong') }),
  },
  health: {
    method: 'GET',
    path: '/api/v1/health',
    group: 'Health',
    summary: 'Whether NATS and its messaging answer; 503 with the same body when not',
    permission: 'public',
    rate: 'none',
    reply: Type.Object({
      status: Type.Union([Type.Literal('ok'), Type.Literal('degraded')]),
      version: Type.String(),
      components: Type.Object({ nats: Component, messaging: Component }),
      uptimeSeconds: Type.Number(),
      error: Type.Optional(Type.Literal('degraded')),
    }),
  },
  ready: {
    method: 'GET',
    path: '/api/v1/ready',
    group: 'Health',
    summary: 'Whether this replica may be sent requests; 503 with reasons when not',
    permission: 'public',
    rate: 'none',
    reply: Type.Object({
      ready: Type.Boolean(),
      error: Type.Optional(Type.Literal('not ready')),
      reasons: Type.Optional(Type.Array(Type.String())),
    }),
  },
  symphonyinfo: {
    method: 'GET',
    path: '/api/v1/symphonyinfo',
    group: 'Health',
    summary: 'Names, version, NATS addresses and the OpenID provider, for login pages, command lines and libraries',
    permission: 'public',
    rate: 'none',
    reply: Type.Object({
      name: Type.String(),
      short: Type.String(),
      nats: Type.String(),
      version: Type.String(),
      oidc: Type.Optional(Type.Object({ issuer: Type.String(), clientid: Type.String(), uiclientid: Type.String() })),
      byline: Type.Optional(Type.String()),
      supportContact: Type.Optional(Type.String()),
      natsClient: Type.Optional(Type.String()),
      bootstrap: Type.Optional(Type.Boolean()),
    }),
  },
})
