import { Fault } from '@wheelhouse/contract'
import { record } from '../audit/index.ts'
import type { Instant } from '../clock/index.ts'
import type { Db } from '../db/index.ts'
import type { RequestFacts } from '../http/index.ts'
import {
  actorOf,
  admitExternal,
  type Authenticator,
  type ExternalClaims,
  type NewSession,
  openSession,
  type Principal,
} from '../identity/index.ts'

/** A session of somebody whom a provider outside has shown to us. */
export interface ExternalSession {
  token: string
  expiresAt: Instant
  principal: Principal
}

/**
 * Admits the user behind a provider's claims, opens a session and writes it to the trail: whatever the protocol, this is the one way.
 * Throws PERM_DISABLED for one who may not act.
 */
export async function signIn(
  { db, authenticator }: { db: Db; authenticator: Authenticator },
  now: Instant,
  claims: ExternalClaims,
  session: Required<Pick<NewSession, 'kind' | 'lifeMs' | 'idleMs'>>,
  request: RequestFacts,
): Promise<ExternalSession> {
  const { ip, userAgent } = request
  const opened = await db.auth(async (tx) => {
    const { tenantId, userId } = await admitExternal(tx, now, claims)
    return openSession(tx, now, { tenantId, principalId: userId, ip, userAgent, ...session })
  })
  const principal = await authenticator.opaque(opened.token)
  await db.tenant(principal.tenantId, (tx) =>
    record(tx, {
      at: now,
      actor: actorOf(principal),
      verb: 'session.create',
      resourceKind: 'session',
      resourceId: opened.id,
      outcome: 'ok',
      ip,
      userAgent,
      requestId: request.id,
      traceId: request.traceId,
      metadata: { by: claims.by, issuer: claims.issuer },
    }),
  )
  return { token: opened.token, expiresAt: opened.expiresAt, principal }
}

/** Why a login at a provider did not end well, as the login page is told: too late or not this browser's; declined there; not to be trusted; barred here. */
export type SignInFailure = 'sso_expired' | 'sso_refused' | 'sso_failed' | 'sso_disabled'

/** What a refusal on the way is to the login page. */
export const failureOf = ({ code, details }: Fault): SignInFailure =>
  code === 'PERM_DISABLED' ? 'sso_disabled' : details?.['declined'] === true ? 'sso_refused' : 'sso_failed'

/** The login page, with the reason; a next try leads where this one would have. */
export const loginPage = (failure: SignInFailure, redirect?: string): string =>
  `/login?error=${failure}${redirect === undefined ? '' : `&redirect=${encodeURIComponent(redirect)}`}`
