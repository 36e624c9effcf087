import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { record } from '../../kernel/audit/index.ts'
import { type Instant, iso } from '../../kernel/clock/index.ts'
import { originOf, type RequestFacts, serve } from '../../kernel/http/index.ts'
import { actorOf, openSession, type Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { decideFlow, DEVICE_MS, INTERVAL_MS, pollFlow, startFlow, waitingFlow } from './device-flows.ts'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'

const WORDS = {
  OAUTH_INVALID_REQUEST: 'invalid_request',
  OAUTH_INVALID_CLIENT: 'invalid_client',
  OAUTH_INVALID_GRANT: 'invalid_grant',
  OAUTH_UNSUPPORTED_GRANT: 'unsupported_grant_type',
  OAUTH_PENDING: 'authorization_pending',
  OAUTH_SLOW_DOWN: 'slow_down',
  OAUTH_DENIED: 'access_denied',
  OAUTH_EXPIRED: 'expired_token',
} as const

/** A refusal with OAuth's own word for it. */
const refused = (code: keyof typeof WORDS, cause?: unknown): Fault =>
  new Fault(code, undefined, { extra: { error: WORDS[code] }, ...(cause === undefined ? {} : { cause }) })

const POLLED = {
  pending: 'OAUTH_PENDING',
  slow_down: 'OAUTH_SLOW_DOWN',
  denied: 'OAUTH_DENIED',
  expired: 'OAUTH_EXPIRED',
  unknown: 'OAUTH_INVALID_GRANT',
} as const

interface TokenRequest {
  grant_type: string
  client_id?: string
  client_secret?: string
  device_code?: string
  subject_token?: string
}

/** RFC 6749, 8628 and 8693, as far as our clients need them. */
export const routes = (kernel: Kernel) => {
  const { db, config, authenticator, tokens } = kernel
  const codeKey = kernel.derivedKey('device codes')

  async function signed(principal: Principal, now: Instant) {
    const { token, expiresAt } = await tokens.issue(principal, config.sessions.tokenTtlMs)
    return { access_token: token, token_type: 'Bearer' as const, expires_in: Math.floor((expiresAt - now) / 1000) }
  }

  const asks = (token: string, code: 'OAUTH_INVALID_CLIENT' | 'OAUTH_INVALID_GRANT'): Promise<Principal> =>
    authenticator.opaque(token).catch((error: unknown) => {
      throw error instanceof Fault && error.status === 401 ? refused(code, error) : error
    })

  async function byClient(body: TokenRequest, request: RequestFacts, now: Instant) {
    const client = clientOf(body, request)
    if (client.secret === undefined) throw refused('OAUTH_INVALID_CLIENT')
    const principal = await asks(client.secret, 'OAUTH_INVALID_CLIENT')
    const isItsOwn = client.id === undefined || client.id === principal.keyId
    if (principal.kind !== 'key' || !isItsOwn) throw refused('OAUTH_INVALID_CLIENT')
    return signed(principal, now)
  }

  async function byDevice(code: string | undefined, request: RequestFacts, now: Instant) {
    if (code === undefined) throw refused('OAUTH_INVALID_REQUEST')
    const outcome = await db.auth((tx) => pollFlow(tx, now, code))
    if (outcome.kind !== 'approved') throw refused(POLLED[outcome.kind])
    const { tenantId, principalId, client } = outcome
    const session = await db.auth((tx) =>
      openSession(tx, now, {
        tenantId,
        principalId,
        kind: 'cli',
        ip: request.ip,
        userAgent: request.userAgent,
        lifeMs: config.sessions.ttlMs,
        idleMs: config.sessions.idleMs,
      }),
    )
    // Frozen between confirmation and now: the session is refused here as anywhere.
    const principal = await asks(session.token, 'OAUTH_INVALID_GRANT')
    await db.tenant(tenantId, (tx) =>
      record(tx, {
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
        metadata: { by: 'device', client },
      }),
    )
    return {
      access_token: session.token,
      token_type: 'Bearer' as const,
      expires_in: Math.floor((session.expiresAt - now) / 1000),
    }
  }

  return serve('native', native.tokens, {
    async issue({ body, request, reply, now }) {
      reply.header('Cache-Control', 'no-store')
      if (body.grant_type === 'client_credentials') return byClient(body, request, now)
      if (body.grant_type === DEVICE) return byDevice(body.device_code, request, now)
      if (body.grant_type !== EXCHANGE) throw refused('OAUTH_UNSUPPORTED_GRANT')
      if (body.subject_token === undefined) throw refused('OAUTH_INVALID_REQUEST')
      return signed(await asks(body.subject_token, 'OAUTH_INVALID_GRANT'), now)
    },
    async startDevice({ body, request, reply, now }) {
      const client = (body.client ?? body.client_id ?? request.userAgent).slice(0, 128)
      const { deviceCode, userCode } = await db.auth((tx) => startFlow(tx, now, codeKey, { client, ip: request.ip }))
      const uri = `${originOf(kernel.config, request)}/device`
      reply.header('Cache-Control', 'no-store')
      return {
        device_code: deviceCode,
        user_code: userCode,
        verification_uri: uri,
        verification_uri_complete: `${uri}?user_code=${userCode}`,
        expires_in: DEVICE_MS / 1000,
        interval: INTERVAL_MS / 1000,
      }
    },
    async lookAtDevice({ body, now }) {
      const flow = await db.auth((tx) => waitingFlow(tx, now, codeKey, body.user_code))
      return { client: flow.client, ip: flow.ip, startedAt: iso(flow.createdAt), expiresAt: iso(flow.expiresAt) }
    },
    async approveDevice({ body, principal, now, audit }) {
      // A key must not turn itself into a session of its owner.
      if (principal.kind !== 'user' || principal.sessionId === undefined)
        throw new Fault('PERM_DENIED', {}, { message: 'Only a person who is signed in confirms a device' })
      const approved = body.approve ?? true
      const flow = await db.auth((tx) => decideFlow(tx, now, codeKey, body.user_code, principal, approved))
      audit({ resourceId: flow.id, metadata: { client: flow.client, ip: flow.ip, approved } })
      return { approved, client: flow.client }
    },
    async pollDevice({ body, request, reply, now }) {
      reply.header('Cache-Control', 'no-store')
      if (body.grant_type !== undefined && body.grant_type !== DEVICE) throw refused('OAUTH_UNSUPPORTED_GRANT')
      return byDevice(body.device_code, request, now)
    },
  })
}

/** The client's id and secret: in the body, by HTTP Basic, or as the bearer that keys are anywhere else. */
function clientOf(body: TokenRequest, request: RequestFacts): { id?: string; secret?: string } {
  if (body.client_secret !== undefined)
    return { secret: body.client_secret, ...(body.client_id === undefined ? {} : { id: body.client_id }) }
  const [scheme = '', value = ''] = (request.header('authorization') ?? '').split(/\s+/, 2)
  if (scheme.toLowerCase() === 'bearer' && value !== '') return { secret: value }
  if (scheme.toLowerCase() !== 'basic') return {}
  const [id = '', ...secret] = Buffer.from(value, 'base64').toString().split(':')
  return { id: decodeURIComponentSafely(id), secret: decodeURIComponentSafely(secret.join(':')) }
}

/** RFC 6749 §2.3.1: both halves are form-encoded. */
function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
