import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Empty } from '../schemas.ts'
import { AuthUser, Text } from './shapes.ts'

const group = 'Users'
/** A malformed id is a user who is not there. */
const params = Type.Object({ id: Text(128) })

/** jobs.md §3. What is required is told by the handlers, in the document's words and order. */
export const users = area({
  createUser: {
    method: 'POST',
    path: '/api/v1/users',
    group,
    summary: 'Create a user in a tenant; default role `user`',
    permission: 'user:create',
    rate: 'jobs-tenant',
    body: Type.Object({
      username: Type.Optional(Text(128)),
      password: Type.Optional(Text(4096)),
      email: Type.Optional(Text(254)),
      display_name: Type.Optional(Text(256)),
      tenant: Type.Optional(Text(128)),
      role: Type.Optional(Text(64)),
    }),
    reply: AuthUser,
    creates: true,
    transaction: 'none',
    faults: ['RES_DUPLICATE_NAME', 'PERM_TENANT'],
  },
  listUsers: {
    method: 'GET',
    path: '/api/v1/users',
    group,
    summary: 'Users of the tenant that are not disabled, by name; at most 1,000',
    permission: 'user:read',
    rate: 'jobs-tenant',
    reply: Type.Object({ items: Type.Array(AuthUser) }),
    beyondDocument: true,
  },
  updateUser: {
    method: 'PUT',
    path: '/api/v1/users/{id}',
    group,
    summary: 'Change address, shown name or role of a user; the first role wins',
    permission: 'user:update',
    rate: 'jobs-tenant',
    params,
    body: Type.Object({
      email: Type.Optional(Text(254)),
      display_name: Type.Optional(Text(256)),
      roles: Type.Optional(Type.Array(Text(64), { maxItems: 20 })),
    }),
    reply: AuthUser,
    faults: ['RES_NOT_FOUND', 'RES_DUPLICATE_NAME'],
    beyondDocument: true,
  },
  deleteUser: {
    method: 'DELETE',
    path: '/api/v1/users/{id}',
    group,
    summary: 'Remove a user; sessions and keys end, history keeps the name',
    permission: 'user:delete',
    rate: 'jobs-tenant',
    params,
    reply: Empty,
    status: 204,
    faults: ['RES_NOT_FOUND'],
    beyondDocument: true,
  },
  setUserPassword: {
    method: 'POST',
    path: '/api/v1/users/{id}/password',
    group,
    summary: 'Give a user a new password; all sessions of the user end',
    permission: 'user:update',
    rate: 'jobs-tenant',
    params,
    body: Type.Object({ password: Type.Optional(Text(4096)) }),
    reply: Empty,
    status: 204,
    verb: 'user.password',
    faults: ['RES_NOT_FOUND'],
    beyondDocument: true,
  },
})
