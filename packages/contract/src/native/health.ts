import { Type } from 'typebox'
import { area } from '../endpoint.ts'

export const health = area({
  livez: {
    method: 'GET',
    path: '/livez',
    group: 'Health',
    summary: 'The process runs; never asks anything it depends on',
    permission: 'public',
    rate: 'none',
    reply: Type.Object({ status: Type.Literal('ok') }),
  },
  readyz: {
    method: 'GET',
    path: '/readyz',
    group: 'Health',
    summary: 'Whether this replica may be sent requests; 503 with the reasons when not',
    permission: 'public',
    rate: 'none',
    reply: Type.Object({ ready: Type.Boolean(), reasons: Type.Array(Type.String()) }),
  },
})
