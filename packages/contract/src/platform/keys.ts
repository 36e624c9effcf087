import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Nullable, Timestamp } from '../schemas.ts'
import { Perm, Permissions, PermOrNull } from './shapes.ts'

const Name = Type.String({ minLength: 1, maxLength: 128 })
const Notes = Type.String({ maxLength: 2000 })
const Account = Type.Union([Type.Literal('own'), Type.Literal('tenant')])

const Key = {
  id: Id,
  name: Name,
  account: Type.String(),
  kind: Type.String(),
  admin: Type.Boolean(),
  capabilities: Permissions,
  expires: Nullable(Timestamp),
  notes: Type.String(),
  created: Timestamp,
}

const ListedKey = Type.Object({ ...Key, lastUsed: Type.Optional(Timestamp), expired: Type.Boolean() })

/** platform.md §3.2 and the delete of §4B. */
export const keys = area({
  createKey: {
    method: 'POST',
    path: '/api/v1/keys',
    group: 'API Keys',
    summary: 'Makes an API key; its token is shown this once',
    permission: 'authenticated',
    verb: 'key.create',
    rate: 'platform-auth',
    body: Type.Object({
      name: Name,
      pub: Type.Optional(PermOrNull),
      sub: Type.Optional(PermOrNull),
      capabilities: Type.Optional(Type.Object({ pub: Type.Optional(Perm), sub: Type.Optional(Perm) })),
      expires: Type.Optional(Nullable(Timestamp)),
      notes: Type.Optional(Notes),
      kind: Type.Optional(Type.Union([Type.Literal('user'), Type.Literal('cli'), Type.Literal('tryit')])),
      admin: Type.Optional(Type.Boolean()),
      account: Type.Optional(Account),
    }),
    reply: Type.Object({ ...Key, token: Type.String() }),
  },
  listKeys: {
    method: 'GET',
    path: '/api/v1/keys',
    group: 'API Keys',
    summary: 'The API keys of the caller, newest first, without their tokens',
    permission: 'authenticated',
    rate: 'platform-std',
    reply: Type.Array(ListedKey),
  },
  updateKey: {
    method: 'PUT',
    path: '/api/v1/key/{id}',
    group: 'API Keys',
    summary: 'Changes an API key of the caller; fewer rights end what it holds on NATS',
    permission: 'authenticated',
    verb: 'key.update',
    rate: 'platform-auth',
    params: Type.Object({ id: Id }),
    body: Type.Object({
      name: Type.Optional(Name),
      pub: Type.Optional(PermOrNull),
      sub: Type.Optional(PermOrNull),
      expires: Type.Optional(Nullable(Timestamp)),
      notes: Type.Optional(Notes),
      admin: Type.Optional(Type.Boolean()),
      id: Type.Optional(Type.String({ maxLength: 256 })),
      token: Type.Optional(Type.String({ maxLength: 512 })),
      account: Type.Optional(Type.String({ maxLength: 256 })),
      kind: Type.Optional(Type.String({ maxLength: 64 })),
    }),
    reply: ListedKey,
  },
  deleteKey: {
    method: 'DELETE',
    path: '/api/v1/key/{id}',
    group: 'API Keys',
    summary: 'Ends an API key of the caller and its connections',
    permission: 'authenticated',
    verb: 'key.delete',
    rate: 'platform-auth',
    params: Type.Object({ id: Id }),
    reply: Type.Object({ deleted: Type.String() }),
  },
})
