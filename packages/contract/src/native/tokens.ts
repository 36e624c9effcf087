import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Timestamp } from '../schemas.ts'

const Short = Type.String({ maxLength: 512 })
const Secret = Type.String({ minLength: 1, maxLength: 8192 })

const OAuthToken = Type.Object({
  access_token: Type.String(),
  token_type: Type.Literal('Bearer'),
  expires_in: Type.Integer({ description: 'Seconds' }),
})

/** RFC 6749 and RFC 8628: how programs and command lines come by a credential. Refusals carry OAuth's `error` beside the problem. */
export const tokens = area({
  issue: {
    method: 'POST',
    path: '/wheelhouse/api/v1/token',
    group: 'Tokens',
    summary: 'Trades an API key (client_credentials), a session (token exchange) or a confirmed device for a token',
    permission: 'public',
    rate: 'native-auth',
    form: true,
    status: 200,
    body: Type.Object({
      grant_type: Type.String({ minLength: 1, maxLength: 128 }),
      client_id: Type.Optional(Short),
      client_secret: Type.Optional(Secret),
      device_code: Type.Optional(Secret),
      subject_token: Type.Optional(Secret),
      subject_token_type: Type.Optional(Short),
      scope: Type.Optional(Short),
      audience: Type.Optional(Short),
    }),
    faults: [
      'OAUTH_INVALID_CLIENT',
      'OAUTH_INVALID_GRANT',
      'OAUTH_INVALID_REQUEST',
      'OAUTH_UNSUPPORTED_GRANT',
      'OAUTH_PENDING',
      'OAUTH_SLOW_DOWN',
      'OAUTH_DENIED',
      'OAUTH_EXPIRED',
    ],
    reply: OAuthToken,
  },
  startDevice: {
    method: 'POST',
    path: '/wheelhouse/api/v1/device',
    group: 'Tokens',
    summary: 'Begins the login of a device without a browser (RFC 8628)',
    permission: 'public',
    rate: 'native-auth',
    form: true,
    status: 200,
    body: Type.Object({
      client: Type.Optional(Type.String({ maxLength: 128, description: 'What to show to whoever confirms' })),
      client_id: Type.Optional(Short),
      scope: Type.Optional(Short),
    }),
    reply: Type.Object({
      device_code: Type.String(),
      user_code: Type.String(),
      verification_uri: Type.String(),
      verification_uri_complete: Type.String(),
      expires_in: Type.Integer(),
      interval: Type.Integer(),
    }),
  },
  lookAtDevice: {
    method: 'POST',
    path: '/wheelhouse/api/v1/device/look',
    group: 'Tokens',
    summary: 'What waits behind a user code, so that a person sees what they would confirm',
    permission: 'authenticated',
    verb: null,
    rate: 'native-auth',
    transaction: 'none',
    status: 200,
    body: Type.Object({ user_code: Type.String({ minLength: 1, maxLength: 32 }) }),
    reply: Type.Object({ client: Type.String(), ip: Type.String(), startedAt: Timestamp, expiresAt: Timestamp }),
  },
  approveDevice: {
    method: 'POST',
    path: '/wheelhouse/api/v1/device/approve',
    group: 'Tokens',
    summary: 'A signed-in user confirms, or refuses, the login of a device',
    permission: 'authenticated',
    verb: 'session.approve',
    rate: 'native-auth',
    transaction: 'none',
    status: 200,
    body: Type.Object({
      user_code: Type.String({ minLength: 1, maxLength: 32 }),
      approve: Type.Optional(Type.Boolean({ default: true })),
    }),
    reply: Type.Object({ approved: Type.Boolean(), client: Type.String() }),
  },
  pollDevice: {
    method: 'POST',
    path: '/wheelhouse/api/v1/device/token',
    group: 'Tokens',
    summary: 'Asks whether the login was confirmed; then the answer is a session',
    permission: 'public',
    rate: 'native-poll',
    form: true,
    status: 200,
    body: Type.Object({
      grant_type: Type.Optional(Short),
      device_code: Secret,
      client_id: Type.Optional(Short),
    }),
    faults: [
      'OAUTH_PENDING',
      'OAUTH_SLOW_DOWN',
      'OAUTH_DENIED',
      'OAUTH_EXPIRED',
      'OAUTH_INVALID_GRANT',
      'OAUTH_UNSUPPORTED_GRANT',
    ],
    reply: OAuthToken,
  },
})
