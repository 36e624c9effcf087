import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Nullable, OneOf, Timestamp } from '../schemas.ts'
import { Text } from './shapes.ts'

const group = 'Locks'
const Ttl = Type.Optional(Type.Integer({ minimum: -9_007_199_254_740_991, maximum: 86_400_000_000 }))

/** jobs.md §15 with the members its dashboard reads (`owner`, `ttl_ms`), and the fencing token of its fix (§25). */
export const Lock = Type.Object({
  resource: Type.String(),
  mode: OneOf(['exclusive', 'shared']),
  owners: Type.Record(Type.String(), Type.Integer()),
  owner: Type.String({ description: 'The owners, joined by a comma' }),
  token: Type.Integer({
    description: 'Fencing token: grows whenever a free lock is taken. Who writes under the lock sends it along',
  }),
  ttl_ms: Type.Integer({ description: 'What is left of its time' }),
  updated_at: Timestamp,
  expires_at: Timestamp,
})

/** jobs.md §15: types alone, the documented texts of what is missing are given by the handler. */
const held = { resource: Type.Optional(Text(512)), owner: Type.Optional(Text(256)) }

export const locks = area({
  getLock: {
    method: 'GET',
    path: '/api/v1/locks',
    group,
    summary: 'Who holds a lock',
    permission: 'lock:read',
    rate: 'jobs-tenant',
    query: Type.Object({ resource: Type.Optional(Text(512)) }),
    reply: Lock,
    faults: ['RES_NOT_FOUND'],
  },
  acquireLock: {
    method: 'POST',
    path: '/api/v1/locks/acquire',
    group,
    summary: 'Takes a lock, or joins a shared one; an owner may take it again and must release it as often',
    permission: 'lock:write',
    verb: 'lock.acquire',
    rate: 'jobs-tenant',
    body: Type.Object({ ...held, mode: Type.Optional(Text(32)), ttl_ms: Ttl }),
    reply: Lock,
    faults: ['RES_CONFLICT'],
  },
  releaseLock: {
    method: 'POST',
    path: '/api/v1/locks/release',
    group,
    summary: 'Gives one hold of an owner back',
    permission: 'lock:write',
    verb: 'lock.release',
    rate: 'jobs-tenant',
    body: Type.Object(held),
    reply: Type.Object({ lock: Nullable(Lock), released: Type.Literal(true) }),
    faults: ['RES_CONFLICT'],
  },
  renewLock: {
    method: 'POST',
    path: '/api/v1/locks/renew',
    group,
    summary: 'Sets the time that a held lock has left',
    permission: 'lock:write',
    verb: 'lock.renew',
    rate: 'jobs-tenant',
    body: Type.Object({ ...held, ttl_ms: Ttl }),
    reply: Lock,
    faults: ['RES_NOT_FOUND', 'RES_CONFLICT'],
  },
})
