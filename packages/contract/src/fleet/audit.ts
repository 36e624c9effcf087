import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Json, Nullable, OneOf, Timestamp } from '../schemas.ts'
import { AUDIT_ACTIONS, NullableText, Paging, Window } from './words.ts'

export const audit = area({
  listAudit: {
    method: 'GET',
    path: '/api/v1/audit',
    group: 'Audit',
    summary: 'The trail as the fleet knows it, newest first',
    permission: 'audit:read',
    floor: 'ADMIN',
    rate: 'fleet-default',
    transaction: 'none',
    query: Type.Object({
      user_id: Type.Optional(Type.String({ maxLength: 128 })),
      team_id: Type.Optional(Type.String({ maxLength: 128 })),
      action: Type.Optional(OneOf(AUDIT_ACTIONS)),
      resource: Type.Optional(Type.String({ maxLength: 64 })),
      resource_id: Type.Optional(Type.String({ maxLength: 128 })),
      ...Window,
      ...Paging(200),
    }),
    list: {
      fields: { at: { type: 'time', sort: true } },
      default: '-at',
      pageSize: 50,
      maxPageSize: 200,
      key: 'logs',
    },
    reply: Type.Object({
      id: Type.String(),
      userId: NullableText,
      userEmail: NullableText,
      userName: NullableText,
      teamId: NullableText,
      action: OneOf(AUDIT_ACTIONS),
      resource: Type.String(),
      resourceId: NullableText,
      metadata: Nullable(Type.Record(Type.String(), Json)),
      ipAddress: NullableText,
      timestamp: Timestamp,
    }),
  },
})
