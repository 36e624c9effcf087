import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { record } from '../../kernel/audit/index.ts'
import { cookieOf, type RequestFacts, serve } from '../../kernel/http/index.ts'
import { actorOf, admitExternal, openSession } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { originOf } from '../origin.ts'
import { beginFlow, FLOW_MS, ownPath, takeFlow } from './flows.ts'

const CALLBACK = '/wheelhouse/api/v1/oidc/callback'
const BROWSER = 'wheelhouse_oidc'
const SESSION = 'wheelhouse_session'

const nothing = { body: '', contentType: 'text/plain; charset=utf-8' }

/** Single sign-on of the console. */
export const routes = (kernel: Kernel) => {
  const { oidc, log, config } = kernel
  const provider = () => oidc ?? refuse()

  return serve('native', native.oidc, {
    async start({ query, request, reply }) {
      const { flow, browser } = await beginFlow(
        kernel,
        `${originOf(kernel, request)}${CALLBACK}`,
        ownPath(query.redirect),
      )
      const target = await provider()
        .authorizationUrl(flow)
        .catch((cause: unknown) => {
          throw new Fault(
            'EGRESS_FAILED',
            { issuer: oidc?.issuer },
            { cause, message: 'The OpenID provider does not answer' },
          )
        })
      reply.cookie(BROWSER, browser, FLOW_MS / 1000)
      reply.header('Location', target)
      reply.header('Cache-Control', 'no-store')
      return nothing
    },
    async callback({ query, request, reply, now }) {
      const back = (path: string) => {
        reply.header('Location', path)
        reply.header('Cache-Control', 'no-store')
        return nothing
      }
      provider()
      const browser = cookieOf({ cookie: request.header('cookie') }, BROWSER) ?? ''
      const flow = await takeFlow(kernel, query.state ?? '', browser)
      reply.cookie(BROWSER, '', 0)
      if (!flow) return back('/login?error=sso_expired')
      if (query.error !== undefined)
        return back(`/login?error=sso_refused&redirect=${encodeURIComponent(flow.redirect)}`)
      try {
        const session = await signIn(kernel, request, flow, query, now)
        reply.cookie(SESSION, session.token, Math.floor((session.expiresAt - now) / 1000))
        return back(flow.redirect)
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        log.warn({ err: error, ip: request.ip }, 'A login at the OpenID provider did not end well')
        const reason = error.code === 'PERM_DISABLED' ? 'sso_disabled' : 'sso_failed'
        return back(`/login?error=${reason}&redirect=${encodeURIComponent(flow.redirect)}`)
      }
    },
  })

  async function signIn(
    { db, authenticator }: Kernel,
    request: RequestFacts,
    flow: Parameters<ReturnType<typeof provider>['exchange']>[1],
    query: Readonly<Record<string, string | undefined>>,
    now: number,
  ): Promise<{ token: string; expiresAt: number }> {
    const answer = new URL(flow.redirectUri)
    for (const [name, value] of Object.entries(query)) if (value !== undefined) answer.searchParams.set(name, value)
    const claims = await provider().exchange(answer, flow)
    const session = await db.auth(async (tx) => {
      const user = await admitExternal(tx, now, claims)
      const opened = await openSession(tx, now, {
        tenantId: user.tenantId,
        principalId: user.userId,
        kind: 'session',
        ip: request.ip,
        userAgent: request.userAgent,
        lifeMs: config.sessions.ttlMs,
        idleMs: config.sessions.idleMs,
      })
      return { ...opened, tenantId: user.tenantId }
    })
    const principal = await authenticator.opaque(session.token)
    await db.tenant(session.tenantId, (tx) =>
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
        metadata: { by: 'oidc', issuer: claims.issuer },
      }),
    )
    return session
  }
}

function refuse(): never {
  throw new Fault(
    'CONFIG_MISSING',
    { setting: 'oidc.issuer' },
    { message: 'No OpenID provider is configured (oidc.issuer)' },
  )
}
