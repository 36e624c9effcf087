import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Empty } from '../schemas.ts'
import { AuthLoginResponse, Text } from './shapes.ts'

const group = 'Auth'

/** jobs.md §2. All five let everybody past the credential gate; two of them ask for one themselves. */
export const auth = area({
  authConfig: {
    method: 'GET',
    path: '/api/v1/auth/config',
    group,
    summary: 'How users sign in here',
    permission: 'public',
    rate: 'jobs-public',
    reply: Type.Object({
      password_enabled: Type.Boolean(),
      user_auth_enabled: Type.Boolean(),
      saml_enabled: Type.Boolean(),
      saml_enterprise: Type.Boolean(),
      saml_login_url: Type.Optional(Type.String()),
      saml_metadata_url: Type.Optional(Type.String()),
      session_ttl: Type.String(),
      require_rbac: Type.Boolean(),
      require_principal: Type.Boolean(),
      default_tenant: Type.String(),
      oidc_enabled: Type.Boolean(),
      oidc_issuer: Type.Optional(Type.String()),
      oidc_login_url: Type.Optional(Type.String()),
      oidc_client_id: Type.Optional(Type.String()),
      oidc_scopes: Type.Optional(Type.Array(Type.String())),
    }),
  },
  login: {
    method: 'POST',
    path: '/api/v1/auth/login',
    group,
    summary: 'Signs a user in by name or e-mail and password, or with an API key as the password',
    permission: 'public',
    rate: 'jobs-public',
    // The trail is written by the login itself: it knows who it was, also when it failed.
    verb: null,
    body: Type.Object({
      username: Type.Optional(Text()),
      password: Type.Optional(Text(4096)),
      tenant: Type.Optional(Text(128)),
    }),
    reply: AuthLoginResponse,
    faults: ['AUTH_LOGIN_FAILED', 'PERM_DISABLED', 'RATE_LIMIT_EXCEEDED'],
  },
  session: {
    method: 'GET',
    path: '/api/v1/auth/session',
    group,
    summary: 'The caller, as the presented credential says',
    permission: 'public',
    rate: 'jobs-public',
    reply: AuthLoginResponse,
  },
  logout: {
    method: 'POST',
    path: '/api/v1/auth/logout',
    group,
    summary: 'Ends the session of the presented token',
    permission: 'public',
    rate: 'jobs-public',
    verb: 'session.delete',
    status: 204,
    reply: Empty,
  },
  changePassword: {
    method: 'POST',
    path: '/api/v1/auth/password',
    group,
    summary: 'Changes the caller’s own password and ends all of the caller’s sessions',
    permission: 'public',
    rate: 'jobs-public',
    verb: 'user.password',
    status: 204,
    body: Type.Object({ current_password: Type.Optional(Text(4096)), new_password: Type.Optional(Text(4096)) }),
    reply: Empty,
  },
})
