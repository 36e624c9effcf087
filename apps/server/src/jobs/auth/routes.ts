import { Fault } from '@wheelhouse/contract'
import { jobs } from '@wheelhouse/contract/jobs/index'
import { native } from '@wheelhouse/contract/native/index'
import { iso } from '../../kernel/clock/index.ts'
import { serve } from '../../kernel/http/index.ts'
import {
  changeUser,
  closeSession,
  findUser,
  hashPassword,
  provePassword,
  requireStrongPassword,
} from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { endSessions, refused, userNotFound } from '../users/service.ts'
import { masked, presentedTokens, SESSION_COOKIES } from './presented.ts'
import { authUser, goDuration, openLogin, serverTenant } from './service.ts'

/** jobs.md §2. */
export const routes = (kernel: Kernel) => {
  const { db, clock, config, identity, oidc, saml } = kernel
  // A path alone is right behind any proxy; the whole address is told where we know it.
  const addressOf = (path: string): string =>
    config.publicUrl === undefined ? path : `${new URL(config.publicUrl).origin}${path}`
  return serve('jobs', jobs.auth, {
    authConfig: async () => ({
      password_enabled: true,
      user_auth_enabled: true,
      saml_enabled: saml !== undefined,
      // The reference asks for a licence; here it comes with SAML itself.
      saml_enterprise: saml !== undefined,
      ...(saml
        ? {
            saml_login_url: addressOf(jobs.sso.samlLogin.path),
            saml_metadata_url: addressOf(jobs.sso.samlMetadata.path),
          }
        : {}),
      session_ttl: goDuration(config.sessions.ttlMs),
      require_rbac: true,
      require_principal: false,
      default_tenant: await serverTenant(kernel),
      oidc_enabled: oidc !== undefined,
      ...(oidc
        ? {
            oidc_issuer: oidc.issuer,
            oidc_login_url: addressOf(native.oidc.start.path),
            oidc_client_id: oidc.clientId,
            oidc_scopes: ['openid', 'profile', 'email'],
          }
        : {}),
    }),

    async login({ body, request, reply }) {
      const { username = '', password = '', tenant = request.header('x-tenant-id') ?? '' } = body
      if (password === '') throw new Fault('AUTH_LOGIN_FAILED', {}, { message: 'password required' })
      const opened = await openLogin(kernel, { username, password, tenant, request })
      const lifeMs = Date.parse(opened.expires_at) - clock.now()
      reply.cookie('cordum_session', opened.token, Math.max(1, Math.floor(lifeMs / 1000)))
      reply.header('Cache-Control', 'no-store')
      return opened
    },

    async session({ principal, request, reply, now }) {
      const [token] = presentedTokens(request)
      if (!principal || token === undefined) throw new Fault('AUTH_TOKEN_MISSING')
      reply.header('Cache-Control', 'no-store')
      return {
        token: masked(token),
        // A key without an end has none to show: a session of it would last so long.
        expires_at: iso(principal.expiresAt ?? now + config.sessions.ttlMs),
        user: await authUser(kernel, principal),
      }
    },

    async logout({ request, reply }) {
      const sessions = presentedTokens(request).filter((token) => token.startsWith('session-'))
      let ended = 0
      for (const token of new Set(sessions)) ended += await closeSession(db, token)
      if (ended > 0) identity.changed()
      for (const name of SESSION_COOKIES) reply.cookie(name, '', 0)
      return {}
    },

    async changePassword({ principal, body, request, now }) {
      if (!principal) throw new Fault('AUTH_TOKEN_MISSING')
      const { current_password = '', new_password = '' } = body
      if (current_password === '') throw refused('current_password required')
      if (new_password === '') throw refused('new_password required')
      requireStrongPassword(new_password)
      const { tenantId, id } = principal
      const user = principal.kind === 'user' ? await db.tenant(tenantId, (tx) => findUser(tx, id)) : undefined
      if (!user) throw userNotFound()
      await provePassword(db, clock, {
        tenant: tenantId,
        username: user.username,
        password: current_password,
        ip: request.ip,
      }).catch((error: unknown) => {
        if (error instanceof Fault && error.code === 'AUTH_LOGIN_FAILED')
          throw new Fault('AUTH_LOGIN_FAILED', {}, { message: 'invalid current password' })
        throw error
      })
      const passwordHash = await hashPassword(new_password)
      await db.tenant(tenantId, async (tx) => {
        if (!(await changeUser(tx, now, user.id, { passwordHash }))) throw userNotFound()
        await endSessions(kernel, tx, user.id, 'stay')
      })
      return {}
    },
  })
}
