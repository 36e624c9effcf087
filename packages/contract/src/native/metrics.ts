import { Type } from 'typebox'
import { area } from '../endpoint.ts'

export const metrics = area({
  metrics: {
    kind: 'raw',
    method: 'GET',
    path: '/metrics',
    group: 'Health',
    summary:
      'Counters of this process for Prometheus, of all tenants: open to this machine, to others with `platform:admin` alone',
    permission: 'public',
    rate: 'none',
    produces: 'text/plain; version=0.0.4; charset=utf-8',
    reply: Type.String(),
    faults: ['AUTH_TOKEN_MISSING', 'PERM_DENIED'],
  },
})
