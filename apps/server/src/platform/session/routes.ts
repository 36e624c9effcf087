import { platform } from '@wheelhouse/contract/platform/index'
import { record } from '../../kernel/audit/index.ts'
import { iso } from '../../kernel/clock/index.ts'
import { type RequestFacts, serve } from '../../kernel/http/index.ts'
import { actorOf, admitExternal, openSession } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
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
    { oidc, log, authenticator }: Kernel,
    request: RequestFacts,
    now: number,
  ): Promise<{ token: string; expires: string; subject: string; account: string }> {
    const [scheme = '', token] = (request.header('authorization') ?? '').split(/\s+/, 2)
    if (scheme.toLowerCase() !== 'bearer' || token === undefined || !oidc) throw new Fault('AUTH_TOKEN_INVALID')
    try {
      const claims = await oidc.verify(token)
      const session = await db.auth(async (tx) => {
        const user = await admitExternal(tx, now, claims)
        const lifeMs = Math.min(claims.expiresAt - now, USER_TOKEN_MS)
        if (lifeMs <= 0) throw new Fault('AUTH_TOKEN_EXPIRED')
        const opened = await openSession(tx, now, {
          tenantId: user.tenantId,
          principalId: user.userId,
          kind: 'user-token',
          ip: request.ip,
          userAgent: request.userAgent,
          lifeMs,
          // Nothing but its end ends a user token (platform.md §6.4).
          idleMs: USER_TOKEN_MS,
        })
        return { ...opened, tenantId: user.tenantId, userId: user.userId }
      })
      const principal = await authenticator.opaque(session.token)
      const account = await db.tenant(session.tenantId, async (tx) => {
        await record(tx, {
          at: now,
          actor: actorOf(principal),
          verb: 'session.create',
          resourceKind: 'session',
          resourceId: session.id,
          outcome: 'ok',
          ip: request.ip,
          userAgent: request.userAgent,
          requestId: request.id,
          traceId: request.traceId,
          metadata: { by: 'oidc', issuer: claims.issuer },
        })
        return identity.accountKey(tx, session.tenantId, session.userId)
      })
      return { token: session.token, expires: iso(session.expiresAt), subject: principal.subject, account }
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      // The caller learns nothing of why; the operator does (platform.md §3.1).
      log.warn({ err: error, ip: request.ip }, 'A token of the OpenID provider was not accepted')
      throw error.status === 401 ? error : new Fault('AUTH_TOKEN_INVALID', {}, { cause: error })
    }
  }
}
