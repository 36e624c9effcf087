import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Timestamp } from '../schemas.ts'
import { Permissions, Visible } from './shapes.ts'

/** platform.md §3.1. */
export const session = area({
  usertoken: {
    method: 'GET',
    path: '/api/v1/usertoken',
    group: 'Authentication',
    summary: 'Trades a token of the OpenID provider, sent as bearer, for a user token of the platform',
    // The handler itself asks for the provider's token: no credential of ours counts here.
    permission: 'public',
    rate: 'platform-auth',
    reply: Type.Object({
      token: Type.String(),
      expires: Timestamp,
      subject: Type.String(),
      account: Type.String({ pattern: '^A[A-Z2-7]{55}$' }),
    }),
  },
  userinfo: {
    method: 'GET',
    path: '/api/v1/userinfo',
    group: 'Authentication',
    summary: 'Profile of the caller, or of the owner of the key',
    permission: 'authenticated',
    rate: 'platform-std',
    reply: Type.Object({
      subject: Type.String(),
      name: Type.Optional(Type.String()),
      email: Type.Optional(Type.String()),
      picture: Type.Optional(Type.String()),
      groups: Type.Array(Type.String()),
      account: Type.String(),
      organization: Type.Optional(Type.String()),
      roles: Type.Array(Type.String()),
      admin: Type.Boolean(),
      bootstrap: Type.Boolean(),
      key: Type.Optional(Type.Object({ id: Type.String(), name: Type.String() })),
    }),
  },
  roles: {
    method: 'GET',
    path: '/api/v1/roles',
    group: 'Authentication',
    summary: 'Roles of the caller and what they allow together',
    permission: 'authenticated',
    rate: 'platform-std',
    reply: Type.Object({
      roles: Type.Array(Type.String()),
      permissions: Permissions,
      extensions: Visible,
      admin: Type.Boolean(),
      bootstrap: Type.Boolean(),
    }),
  },
  apikey: {
    method: 'GET',
    path: '/api/v1/apikey',
    group: 'API Keys',
    summary: 'Trades the bearer token for NATS credentials held to the subjects of its key',
    permission: 'authenticated',
    rate: 'platform-std',
    transaction: 'none',
    reply: Type.Object({
      jwt: Type.String(),
      seed: Type.String(),
      id: Type.String(),
      account: Type.String(),
      inboxPrefix: Type.Optional(
        Type.String({ description: 'What the client must set as its inbox prefix; absent = the default' }),
      ),
    }),
  },
})
