import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Nullable, OneOf, Timestamp } from '../schemas.ts'

const Signed = Type.Object({
  token: Type.String(),
  tokenType: Type.Literal('Bearer'),
  expiresAt: Timestamp,
})

/** Who the caller is, and the short-lived token with which a page calls surfaces that take no cookie. */
export const session = area({
  getSession: {
    method: 'GET',
    path: '/wheelhouse/api/v1/session',
    group: 'Session',
    summary: 'Who the caller is, what they may do, and how the server is set up for logins',
    permission: 'authenticated',
    rate: 'native',
    reply: Type.Object({
      principal: Type.Object({
        id: Id,
        kind: Type.String(),
        subject: Type.String(),
        name: Type.String(),
        email: Nullable(Type.String()),
        groups: Type.Array(Type.String()),
        keyId: Nullable(Id),
      }),
      tenant: Type.Object({ id: Id, slug: Type.String(), name: Type.String() }),
      roles: Type.Array(Type.String()),
      floor: OneOf(['VIEWER', 'DEVELOPER', 'OPERATOR', 'ADMIN']),
      grants: Type.Array(Type.Array(Type.String()), {
        description: 'Sets of patterns; a permission is held when every set grants it',
      }),
      expiresAt: Nullable(Timestamp),
      naming: Type.Object({ product: Type.String(), short: Type.String(), byline: Type.String() }),
      oidc: Type.Boolean({ description: 'Whether an OpenID provider is configured' }),
    }),
  },
  issueToken: {
    method: 'POST',
    path: '/wheelhouse/api/v1/session/token',
    group: 'Session',
    summary: 'A signed token of at most 15 minutes that stands for the caller’s session or key',
    permission: 'authenticated',
    verb: null,
    rate: 'native',
    transaction: 'none',
    status: 200,
    reply: Signed,
  },
  endSession: {
    method: 'DELETE',
    path: '/wheelhouse/api/v1/session',
    group: 'Session',
    summary: 'Ends the session and takes its cookies back; what it held on NATS ends with it',
    permission: 'authenticated',
    verb: 'session.delete',
    rate: 'native',
    status: 204,
    reply: Type.Null(),
  },
  jwks: {
    method: 'GET',
    path: '/.well-known/jwks.json',
    group: 'Session',
    summary: 'The public keys that signed tokens are checked with',
    permission: 'public',
    rate: 'none',
    reply: Type.Object({ keys: Type.Array(Type.Record(Type.String(), Type.Unknown())) }),
  },
})
