import { platform } from '@wheelhouse/contract/platform/index'
import { iso } from '../../kernel/clock/index.ts'
import { type RequestFacts, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { signIn } from '../../kernel/sso/index.ts'
import { Fault } from '@wheelhouse/contract'
import { edgeNames, isAdmin, shownRights } from '../edge-names.ts'

/** A user token lives no longer than the provider's token, and at most this long (platform.md §6.1). */
const USER_TOKEN_MS = 12 * 3_600_000

/** platform.md §3.1. */
export const routes = (kernel: Kernel) => {
  const { db, identity } = kernel
  return serve('platform', platform.session, {
    async usertoken({ request, reply, now }) {
      const answer = await tradeToken(kernel, request, now)
      reply.header('Cache-Control', 'no-store')
      return answer
    },
    async userinfo({ principal, tx }) {
      const { email } = principal
      const account = await identity.accountKey(tx, principal.tenantId, principal.ownerId ?? principal.id)
      return {
        subject: principal.subject,
        groups: [...principal.groups],
        account,
        organization: principal.tenantSlug,
        roles: edgeNames(principal.roles),
        admin: isAdmin(principal),
        bootstrap: false,
        ...(principal.kind === 'key'
          ? { key: { id: principal.keyId ?? principal.id, name: principal.name } }
          : { name: principal.name, ...(email === undefined ? {} : { email }) }),
      }
    },
    async roles({ principal, tx }) {
      return {
        roles: edgeNames(principal.roles),
        ...shownRights(await identity.subjectRights(tx, principal)),
        admin: isAdmin(principal),
        bootstrap: false,
      }
    },
    async apikey({ principal, reply }) {
      const { jwt, seed, id, account, inboxPrefix } = await identity.natsCredential(principal)
      reply.header('Cache-Control', 'no-store')
      return { jwt, seed, id, account, ...(inboxPrefix === undefined ? {} : { inboxPrefix }) }
    },
  })

  async function tradeToken(
    { oidc, log }: Kernel,
    request: RequestFacts,
    now: number,
  ): Promise<{ token: string; expires: string; subject: string; account: string }> {
    const [scheme = '', token] = (request.header('authorization') ?? '').split(/\s+/, 2)
    if (scheme.toLowerCase() !== 'bearer' || token === undefined || !oidc) throw new Fault('AUTH_TOKEN_INVALID')
    try {
      const claims = await oidc.verify(token)
      const lifeMs = Math.min(claims.expiresAt - now, USER_TOKEN_MS)
      if (lifeMs <= 0) throw new Fault('AUTH_TOKEN_EXPIRED')
      // Nothing but its end ends a user token (platform.md §6.4).
      const life = { kind: 'user-token', lifeMs, idleMs: USER_TOKEN_MS } as const
      const { token: made, expiresAt, principal } = await signIn(kernel, now, claims, life, request)
      const account = await db.tenant(principal.tenantId, (tx) =>
        identity.accountKey(tx, principal.tenantId, principal.id),
      )
      return { token: made, expires: iso(expiresAt), subject: principal.subject, account }
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      // The caller learns nothing of why; the operator does (platform.md §3.1).
      log.warn({ err: error, ip: request.ip }, 'A token of the OpenID provider was not accepted')
      throw error.status === 401 ? error : new Fault('AUTH_TOKEN_INVALID', {}, { cause: error })
    }
  }
}
