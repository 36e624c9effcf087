import { Type } from 'typebox'
import { area } from '../endpoint.ts'

/** platform.md §12. */
export const openapi = area({
  openapi: {
    kind: 'raw',
    method: 'GET',
    path: '/api/v1/openapi',
    group: 'Extensions',
    summary: 'The OpenAPI document of everything that the caller may call here',
    permission: 'authenticated',
    rate: 'platform-std',
    transaction: 'none',
    query: Type.Object({ format: Type.Optional(Type.Union([Type.Literal('json'), Type.Literal('yaml')])) }),
    produces: 'application/json; charset=utf-8',
    reply: Type.Unknown(),
  },
})
