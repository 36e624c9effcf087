import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Nullable, OneOf, Timestamp } from '../schemas.ts'
import { NullableText, NullableTime } from './words.ts'

/** What real clients of the fleet document ask before anything else (fleet.md §2, additional endpoints). */
export const client = area({
  getConfig: {
    method: 'GET',
    path: '/api/config',
    group: 'Configuration',
    summary: 'What a console must know before anybody has logged in',
    permission: 'public',
    rate: 'none',
    reply: Type.Object({
      authBypass: Type.Boolean(),
      nodeEnv: Type.String(),
      sindriDefaultImage: Type.String(),
      sindriImageRegistry: Type.String(),
      sindriImageVersion: Type.String(),
      editorFsRoot: Type.String(),
      sindriSupportedDistros: Type.Array(Type.String()),
      sindriDefaultDistro: Type.String(),
      dockerHostDefault: Type.String(),
    }),
    beyondDocument: true,
  },
  getMe: {
    method: 'GET',
    path: '/api/v1/me',
    group: 'Self Service',
    summary: 'The user behind the credential',
    permission: 'me:read',
    floor: 'VIEWER',
    rate: 'none',
    reply: Type.Object({
      id: Type.String(),
      email: NullableText,
      name: NullableText,
      role: OneOf(['ADMIN', 'OPERATOR', 'DEVELOPER', 'VIEWER']),
      is_active: Type.Boolean(),
      email_verified: Type.Boolean(),
      image: NullableText,
      last_login_at: NullableTime,
      created_at: Timestamp,
      team_memberships: Type.Array(
        Type.Object({ role: Type.String(), team: Type.Object({ id: Type.String(), name: Type.String() }) }),
      ),
      accounts: Type.Array(
        Type.Object({ id: Type.String(), provider_id: Type.String(), created_at: Nullable(Timestamp) }),
      ),
    }),
    faults: ['RES_NOT_FOUND'],
    beyondDocument: true,
  },
})
