import { Fault } from '@wheelhouse/contract'
import { jobs } from '@wheelhouse/contract/jobs/index'
import { cookieOf, originOf, type ReplyControls, type RequestFacts, serve } from '../../kernel/http/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import {
  beginFlow,
  failureOf,
  FLOW_MS,
  handOn,
  loginPage,
  newRequest,
  ownPage,
  ownPath,
  type SamlAnswer,
  type SamlRequest,
  type SamlSelf,
  signIn,
  takeFlow,
  takeUnseen,
} from '../../kernel/sso/index.ts'
import { weightiestFirst } from '../users/shown.ts'

const BROWSER = 'wheelhouse_saml'
const SESSION = 'wheelhouse_session'
const { samlAnswer, samlMetadata, samlSession } = jobs.sso

/** Where a login leads, and how its session gets there. */
interface Destination {
  redirect: string
  session: 'fragment' | 'cookie'
}

/** What is kept while the browser is at the provider, and while it comes home. */
type Asked = Destination & { request: SamlRequest }
type Answered = Destination & { answer: SamlAnswer }

/** Single sign-on by SAML (jobs.md §2). */
export const routes = (kernel: Kernel) => {
  const { saml, log, config } = kernel
  const provider = () => saml ?? refuse()

  /** A login that did not end well leads to the login page; why is for the log alone. */
  function failed(error: unknown, { redirect }: Destination, { ip }: RequestFacts): string {
    if (!(error instanceof Fault)) throw error
    const { code, details, message } = error
    log.warn({ code, reason: details?.['reason'] ?? message, ip }, 'A login at the SAML provider did not end well')
    return loginPage(failureOf(error), redirect)
  }

  return serve('jobs', jobs.sso, {
    async samlLogin({ query, request, reply }) {
      const known = provider()
      const { redirect, session = 'fragment' } = query
      const origin = originOf(config, request)
      const asked: Asked = {
        redirect: session === 'fragment' ? ownPage(redirect, origin) : ownPath(redirect, origin),
        session,
        request: newRequest(selfOf(kernel, request)),
      }
      const { state, browser } = await beginFlow(kernel, 'saml response', asked)
      const target = await known.requestUrl(asked.request, state)
      reply.cookie(BROWSER, browser, FLOW_MS / 1000)
      return sendTo(reply, target)
    },

    async samlAnswer({ body, request, reply }) {
      const known = provider()
      // The provider's page sends no cookie of ours along: whose browser this is, the next step asks.
      const taken = await takeUnseen<Asked>(kernel, 'saml response', body.RelayState ?? '')
      if (!taken) return sendTo(reply, loginPage('sso_expired'))
      const { request: asked, ...destination } = taken.content
      try {
        const answer = await known.readAnswer(body.SAMLResponse ?? '', asked)
        const answered: Answered = { ...destination, answer }
        const ticket = await handOn(kernel, taken, 'saml session', answered)
        return sendTo(reply, `${samlSession.path}?ticket=${ticket}`)
      } catch (error) {
        return sendTo(reply, failed(error, destination, request))
      }
    },

    async samlSession({ query, request, reply, now }) {
      provider()
      const browser = cookieOf({ cookie: request.header('cookie') }, BROWSER) ?? ''
      const answered = await takeFlow<Answered>(kernel, 'saml session', query.ticket ?? '', browser)
      reply.cookie(BROWSER, '', 0)
      if (!answered) return sendTo(reply, loginPage('sso_expired'))
      const { claims, sessionEndsAt = Infinity } = answered.answer
      const { ttlMs, idleMs } = config.sessions
      const life = { kind: 'session', lifeMs: Math.min(ttlMs, sessionEndsAt - now), idleMs } as const
      try {
        const { token, expiresAt, principal } = await signIn(kernel, now, claims, life, request)
        if (answered.session === 'fragment') return sendTo(reply, withFragment(answered.redirect, token, principal))
        reply.cookie(SESSION, token, Math.floor((expiresAt - now) / 1000))
        return sendTo(reply, answered.redirect)
      } catch (error) {
        return sendTo(reply, failed(error, answered, request))
      }
    },

    samlMetadata({ request, reply }) {
      const body = provider().metadata(selfOf(kernel, request))
      reply.header('Cache-Control', 'public, max-age=300')
      return { body }
    },
  })
}

/** Who we are to the provider, by the address at which this caller reaches us. */
function selfOf({ config }: Kernel, request: RequestFacts): SamlSelf {
  const origin = originOf(config, request)
  return { entityId: config.saml.entityId ?? `${origin}${samlMetadata.path}`, acs: `${origin}${samlAnswer.path}` }
}

function sendTo(reply: ReplyControls, address: string) {
  reply.header('Location', address)
  reply.header('Cache-Control', 'no-store')
  return { body: '', contentType: 'text/plain; charset=utf-8' }
}

/** The keys are those that the reference's dashboard reads (jobs.md §2). */
function withFragment(redirect: string, token: string, { id, tenantSlug, roles }: Principal): string {
  const [role = ''] = weightiestFirst(roles)
  const fragment = new URLSearchParams({ token, tenant: tenantSlug, principal_id: id, role })
  return `${redirect.split('#', 1)[0]}#${fragment}`
}

function refuse(): never {
  throw new Fault('RES_NOT_FOUND', { setting: 'saml.metadata' }, { message: 'sso not configured' })
}
