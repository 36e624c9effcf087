import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Json } from '../schemas.ts'

const socket = {
  kind: 'ws',
  method: 'GET',
  group: 'WebSocket',
  rate: 'fleet-default',
  reply: Json,
  beyondDocument: true,
} as const

const browser = { ...socket, permission: 'instance:read', floor: 'VIEWER' } as const

/** The sockets of fleet.md §3.6 and §3.16; their messages are documented there. */
export const sockets = area({
  hub: { ...browser, path: '/ws', summary: 'Live state of the fleet for consoles' },
  hubInstances: { ...browser, path: '/ws/instances', summary: 'The same hub under another path' },
  hubFleet: { ...browser, path: '/ws/fleet', summary: 'The same hub under another path' },
  metricStream: {
    ...browser,
    path: '/ws/metrics/stream',
    summary: 'Samples of the subscribed instances as they come',
    permission: 'metric:read',
    query: Type.Object({ instanceId: Type.Optional(Id) }),
  },
  agent: {
    ...socket,
    path: '/ws/agent',
    summary: 'The connection of an instance’s agent',
    permission: 'agent:connect',
    floor: 'VIEWER',
    rate: 'fleet-agent',
  },
  terminal: {
    ...socket,
    path: '/ws/terminal/{sessionId}',
    summary: 'Bytes of a terminal, for the one who opened it',
    permission: 'terminal:open',
    floor: 'DEVELOPER',
    params: Type.Object({ sessionId: Id }),
  },
})
