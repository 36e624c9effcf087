import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { cookieOf, originOf, type RequestFacts, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import {
  beginFlow,
  failureOf,
  FLOW_MS,
  loginPage,
  newOidcSecrets,
  type OidcFlow,
  ownPath,
  signIn,
  takeFlow,
} from '../../kernel/sso/index.ts'

const CALLBACK = native.oidc.callback.path
const BROWSER = 'wheelhouse_oidc'
const SESSION = 'wheelhouse_session'

/** What is kept while the browser is at the provider; the provider hands `state` back itself. */
interface Kept extends Omit<OidcFlow, 'state'> {
  /** Where the browser goes afterwards; a path of ours. */
  redirect: string
}

const nothing = { body: '', contentType: 'text/plain; charset=utf-8' }

/** Single sign-on of the console. */
export const routes = (kernel: Kernel) => {
  const { oidc, log, config } = kernel
  const provider = () => oidc ?? refuse()

  return serve('native', native.oidc, {
    async start({ query, request, reply }) {
      const known = provider()
      const redirectUri = `${originOf(config, request)}${CALLBACK}`
      const kept: Kept = { redirectUri, redirect: ownPath(query.redirect), ...newOidcSecrets() }
      const { state, browser } = await beginFlow(kernel, 'oidc callback', kept)
      const target = await known.authorizationUrl({ ...kept, state }).catch((cause: unknown) => {
        throw new Fault(
          'EGRESS_FAILED',
          { issuer: known.issuer },
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
      const { state = '' } = query
      const browser = cookieOf({ cookie: request.header('cookie') }, BROWSER) ?? ''
      const kept = await takeFlow<Kept>(kernel, 'oidc callback', state, browser)
      reply.cookie(BROWSER, '', 0)
      if (!kept) return back(loginPage('sso_expired'))
      if (query.error !== undefined) return back(loginPage('sso_refused', kept.redirect))
      try {
        const session = await open(request, { ...kept, state }, query, now)
        reply.cookie(SESSION, session.token, Math.floor((session.expiresAt - now) / 1000))
        return back(kept.redirect)
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        log.warn({ err: error, ip: request.ip }, 'A login at the OpenID provider did not end well')
        return back(loginPage(failureOf(error), kept.redirect))
      }
    },
  })

  async function open(
    request: RequestFacts,
    flow: OidcFlow,
    query: Readonly<Record<string, string | undefined>>,
    now: number,
  ) {
    const answer = new URL(flow.redirectUri)
    for (const [name, value] of Object.entries(query)) if (value !== undefined) answer.searchParams.set(name, value)
    const claims = await provider().exchange(answer, flow)
    const { ttlMs, idleMs } = config.sessions
    return signIn(kernel, now, claims, { kind: 'session', lifeMs: ttlMs, idleMs }, request)
  }
}

function refuse(): never {
  throw new Fault(
    'CONFIG_MISSING',
    { setting: 'oidc.issuer' },
    { message: 'No OpenID provider is configured (oidc.issuer)' },
  )
}
