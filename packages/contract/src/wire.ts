import { Type, type TSchema } from 'typebox'
import type { Endpoint, Surface } from './endpoint.ts'
import { Timestamp } from './schemas.ts'

const FleetPaging = {
  page: Type.Integer(),
  limit: Type.Integer(),
  pageSize: Type.Integer(),
  total: Type.Integer(),
  totalPages: Type.Integer(),
}

const ReleaseMeta = { requestId: Type.String(), timestamp: Timestamp }

const ReleasePagination = Type.Object({
  page: Type.Integer(),
  pageSize: Type.Integer(),
  totalItems: Type.Integer(),
  totalPages: Type.Integer(),
  hasNext: Type.Boolean(),
  hasPrevious: Type.Boolean(),
})

/** The schema of a success body as the surface sends it: fleet.md §1.2, release.md §2; platform and jobs send the value itself. */
export function wireReply(surface: Surface, endpoint: Endpoint): TSchema {
  const { reply, list } = endpoint
  if (endpoint.kind === 'raw' || endpoint.kind === 'sse' || endpoint.kind === 'ws') return reply
  if (surface === 'release') {
    return Type.Object({
      success: Type.Literal(true),
      data: list ? Type.Array(reply) : reply,
      meta: Type.Object(list ? { ...ReleaseMeta, pagination: ReleasePagination } : ReleaseMeta),
    })
  }
  if (!list) return reply
  if (surface === 'fleet') {
    return Type.Object({
      [list.key ?? 'data']: Type.Array(reply),
      data: Type.Array(reply),
      pagination: Type.Object(FleetPaging),
      ...(list.flat ? FleetPaging : {}),
    })
  }
  return Type.Object({
    items: Type.Array(reply),
    total: Type.Integer(),
    next: Type.Union([Type.String(), Type.Null()]),
  })
}
