import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Timestamp } from '../schemas.ts'

export const FleetStats = Type.Object({
  total: Type.Integer(),
  by_status: Type.Record(Type.String(), Type.Integer()),
  by_provider: Type.Array(Type.Object({ provider: Type.String(), count: Type.Integer() })),
  by_distro: Type.Record(Type.String(), Type.Integer()),
  active_sessions: Type.Integer(),
  updated_at: Timestamp,
})

export const overview = area({
  getFleetStats: {
    method: 'GET',
    path: '/api/v1/fleet/stats',
    group: 'Fleet Overview',
    summary: 'How many instances there are by status, provider and distribution, and how many terminals are open',
    permission: 'fleet:read',
    floor: 'VIEWER',
    rate: 'fleet-default',
    reply: FleetStats,
  },
})
