import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { OneOf, Timestamp, Uuid } from '../schemas.ts'
import { Deleted } from './shapes.ts'

/** Further occurrences of a window, counted in UTC from its first one; none begins after `until` (release.md §6.2). */
const Recurrence = Type.Object({
  freq: OneOf(['weekly', 'monthly', 'yearly']),
  until: Type.Optional(Timestamp),
})

/** A time without promotions. `active` is of now, recurrences included. */
export const FreezeWindow = Type.Object({
  id: Uuid,
  environmentId: Uuid,
  start: Timestamp,
  end: Timestamp,
  reason: Type.String(),
  createdBy: Uuid,
  exceptions: Type.Array(Uuid),
  active: Type.Boolean(),
  createdAt: Timestamp,
  recurrence: Type.Optional(Recurrence),
})
export type FreezeWindow = Static<typeof FreezeWindow>

const group = 'Environment & Inventory'
const faults = ['RES_NOT_FOUND', 'PERM_ENVIRONMENT_SCOPE'] as const

/** release.md §6.2. */
export const freezeWindows = area({
  create: {
    method: 'POST',
    path: '/api/v1/environments/{envId}/freeze-windows',
    group,
    summary: 'Create a freeze window',
    permission: 'environment:freeze',
    rate: 'release-standard',
    creates: true,
    idempotency: 'edge',
    params: Type.Object({ envId: Uuid }),
    body: Type.Object({
      start: Timestamp,
      end: Timestamp,
      reason: Type.String({ minLength: 1, maxLength: 1000 }),
      exceptions: Type.Array(Uuid, { maxItems: 500, uniqueItems: true, default: [] }),
      recurrence: Type.Optional(Recurrence),
    }),
    reply: FreezeWindow,
    faults: [...faults, 'VAL_INVALID_RANGE'],
  },
  list: {
    method: 'GET',
    path: '/api/v1/environments/{envId}/freeze-windows',
    group,
    summary: 'List freeze windows',
    permission: 'environment:read',
    rate: 'release-standard',
    params: Type.Object({ envId: Uuid }),
    query: Type.Object({
      active: Type.Optional(Type.Boolean()),
      from: Type.Optional(Timestamp),
      to: Type.Optional(Timestamp),
    }),
    reply: FreezeWindow,
    list: {
      fields: {
        id: { type: 'uuid', sort: true, filter: true },
        environmentId: { type: 'uuid', sort: true, filter: true },
        start: { type: 'time', sort: true, filter: true },
        end: { type: 'time', sort: true, filter: true },
        reason: { type: 'text', sort: true, filter: true },
        createdBy: { type: 'uuid', sort: true, filter: true },
        active: { type: 'boolean', sort: true, filter: true },
        createdAt: { type: 'time', sort: true, filter: true },
      },
      default: 'start',
    },
    faults,
  },
  remove: {
    method: 'DELETE',
    path: '/api/v1/environments/{envId}/freeze-windows/{windowId}',
    group,
    summary: 'Remove a freeze window',
    permission: 'environment:freeze',
    rate: 'release-standard',
    params: Type.Object({ envId: Uuid, windowId: Uuid }),
    reply: Deleted,
    faults,
  },
})
