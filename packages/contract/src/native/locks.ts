import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { OneOf, Timestamp } from '../schemas.ts'

/** Every lock of the tenant; the jobs surface asks for one at a time. */
export const locks = area({
  listLocks: {
    method: 'GET',
    path: '/wheelhouse/api/v1/locks',
    group: 'Locks',
    summary: 'All locks that are held',
    permission: 'lock:read',
    rate: 'native',
    list: {
      fields: {
        resource: { type: 'text', sort: true, filter: true },
        mode: { type: 'text', sort: true, filter: true },
        token: { type: 'number', sort: true },
        updatedAt: { type: 'time', sort: true, filter: true },
        expiresAt: { type: 'time', sort: true, filter: true },
      },
      default: 'resource',
    },
    reply: Type.Object({
      resource: Type.String(),
      mode: OneOf(['exclusive', 'shared']),
      owners: Type.Record(Type.String(), Type.Integer()),
      token: Type.Integer(),
      updatedAt: Timestamp,
      expiresAt: Timestamp,
    }),
  },
})
