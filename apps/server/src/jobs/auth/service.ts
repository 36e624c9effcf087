import { Fault } from '@wheelhouse/contract'
import type { AuthLoginResponse } from '@wheelhouse/contract/jobs/shapes'
import type { Static } from 'typebox'
import { record } from '../../kernel/audit/index.ts'
import { type Instant, iso } from '../../kernel/clock/index.ts'
import type { RequestFacts } from '../../kernel/http/index.ts'
import {
  actorOf,
  findTenant,
  findUser,
  firstTenant,
  isJwt,
  login,
  openSession,
  type Principal,
} from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { type AuthUser, shownUser, weightiestFirst } from '../users/shown.ts'
import { withoutQuotes } from './presented.ts'

/** The tenant of whoever names none: that of the first start. */
export const serverTenant = async ({ db }: Kernel): Promise<string> =>
  (await db.auth((tx) => firstTenant(tx)))?.slug ?? 'default'

/** Milliseconds as the document's clients read them: `24h`, `90m`, `45s`. */
export function goDuration(ms: number): string {
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000}h`
  return ms % 60_000 === 0 ? `${ms / 60_000}m` : `${Math.round(ms / 1000)}s`
}

/** Who a principal is, as jobs.md §2 shows it: the user, or the key in a user's place. */
export async function authUser({ db }: Kernel, principal: Principal): Promise<AuthUser> {
  const user =
    principal.kind === 'user' ? await db.tenant(principal.tenantId, (tx) => findUser(tx, principal.id)) : undefined
  if (user) return shownUser(user, principal.tenantSlug, principal.roles)
  return {
    id: principal.id,
    username: principal.name === '' ? 'api-user' : principal.name,
    ...(principal.email === undefined ? {} : { email: principal.email }),
    tenant: principal.tenantSlug,
    roles: weightiestFirst(principal.roles),
    source: principal.keyId === undefined ? 'user' : 'api_key',
  }
}

interface Attempt {
  username: string
  password: string
  tenant: string
  request: RequestFacts
}

interface Opened {
  token: string
  sessionId: string
  expiresAt: Instant
  principal: Principal
}

async function byPassword(
  kernel: Kernel,
  { username, password, tenant, request }: Attempt,
): Promise<Opened | undefined> {
  if (username.trim() === '') return undefined
  const { db, clock, authenticator, config } = kernel
  try {
    const { token, sessionId, expiresAt } = await login(db, clock, {
      tenant: tenant === '' ? await serverTenant(kernel) : tenant,
      username,
      password,
      ip: request.ip,
      userAgent: request.userAgent,
      lifeMs: config.sessions.ttlMs,
      idleMs: config.sessions.idleMs,
    })
    return { token, sessionId, expiresAt, principal: await authenticator.opaque(token) }
  } catch (error) {
    if (error instanceof Fault && error.code === 'AUTH_LOGIN_FAILED') return undefined
    throw error
  }
}

/** A session that has the rights of the key and ends with it (jobs.md §2, fix). Sessions and tokens are no keys: they would renew themselves. */
async function byKey(kernel: Kernel, { password, tenant, request }: Attempt): Promise<Opened | undefined> {
  const { db, clock, authenticator, config } = kernel
  const key = withoutQuotes(password)
  if (isJwt(key) || key.startsWith('session-')) return undefined
  const principal = await authenticator.opaque(key).catch((error: unknown) => {
    if (error instanceof Fault && error.status === 401) return undefined
    throw error
  })
  if (principal?.credential !== 'key' || principal.sessionId !== undefined) return undefined
  if (tenant !== '' && tenant !== principal.tenantSlug && tenant !== principal.tenantId) return undefined
  const now = clock.now()
  const session = await db.auth((tx) =>
    openSession(tx, now, {
      tenantId: principal.tenantId,
      principalId: principal.id,
      kind: 'session',
      ip: request.ip,
      userAgent: request.userAgent,
      lifeMs: Math.min(config.sessions.ttlMs, (principal.expiresAt ?? Infinity) - now),
      idleMs: config.sessions.idleMs,
    }),
  )
  return { token: session.token, sessionId: session.id, expiresAt: session.expiresAt, principal }
}

/**
 * Opens a session for a user, or for an API key in the place of the password (jobs.md §2). What looks like one of our keys is
 * looked up as one first, so that it does not count as a failure of the user beside it. Both outcomes reach the trail.
 */
export async function openLogin(kernel: Kernel, attempt: Attempt): Promise<Static<typeof AuthLoginResponse>> {
  const ways = attempt.password.startsWith('wh_') ? [byKey, byPassword] : [byPassword, byKey]
  const [first, second] = ways
  const opened = (await first?.(kernel, attempt)) ?? (await second?.(kernel, attempt))
  if (!opened) {
    await recordFailure(kernel, attempt)
    throw new Fault('AUTH_LOGIN_FAILED')
  }
  const { principal, sessionId } = opened
  const { id, traceId, ip, userAgent } = attempt.request
  await kernel.db.tenant(principal.tenantId, (tx) =>
    record(tx, {
      at: kernel.clock.now(),
      actor: actorOf(principal),
      verb: 'session.create',
      resourceKind: 'session',
      resourceId: sessionId,
      outcome: 'ok',
      ip,
      userAgent,
      requestId: id,
      traceId,
      metadata: { by: principal.kind === 'key' ? 'key' : 'login' },
    }),
  )
  return { token: opened.token, expires_at: iso(opened.expiresAt), user: await authUser(kernel, principal) }
}

const NOBODY = '00000000-0000-0000-0000-000000000000'

/** A failed login of a known tenant is a row of its trail (decisions D1). */
async function recordFailure(kernel: Kernel, { username, tenant, request }: Attempt): Promise<void> {
  const named = tenant === '' ? await serverTenant(kernel) : tenant
  const found = await kernel.db.auth((tx) => findTenant(tx, named))
  if (!found) return
  const name = username.slice(0, 128)
  await kernel.db.tenant(found.id, (tx) =>
    record(tx, {
      at: kernel.clock.now(),
      actor: { kind: 'user', id: NOBODY, name, onBehalfOf: [] },
      verb: 'session.create',
      resourceKind: 'session',
      resourceId: '',
      outcome: 'denied',
      ip: request.ip,
      userAgent: request.userAgent,
      requestId: request.id,
      traceId: request.traceId,
      metadata: { username: name },
    }),
  )
}
