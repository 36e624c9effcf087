import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Provider } from 'oidc-provider'

export interface TestUser {
  email?: string
  email_verified?: boolean
  name?: string
  preferred_username?: string
  groups?: string[] | string
}

/** A real OpenID provider on a free loopback port, which signs in whoever `signIn` names last, without asking. */
export interface TestProvider {
  issuer: string
  clientId: string
  /** Adds or changes a user. */
  user(subject: string, claims: TestUser): void
  /** The next login is this user's. */
  signIn(subject: string): void
  /** An ID token by the whole code flow, as a console or command line would get it. */
  idToken(subject: string): Promise<string>
  close(): Promise<void>
}

const CLIENT = 'wheelhouse'
const CALLBACK = '/wheelhouse/api/v1/oidc/callback'

/** Starts the provider; `redirectUris` are those of the server under test. */
export async function startProvider(): Promise<TestProvider> {
  const users = new Map<string, TestUser>()
  let current = ''
  const server: Server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const native = 'http://127.0.0.1/done'
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT,
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        redirect_uris: [native, `http://127.0.0.1${CALLBACK}`],
        grant_types: ['authorization_code'],
        response_types: ['code'],
        id_token_signed_response_alg: 'RS256',
      },
    ],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id, ...users.get(id) }) }),
    interactions: { url: (_context: unknown, interaction: { uid: string }) => `/interaction/${interaction.uid}` },
    cookies: { keys: ['test'] },
    ttl: { IdToken: 600, AccessToken: 600, Interaction: 600, Session: 600, Grant: 600 },
  })
  const handle = provider.callback()
  server.on('request', (request, response) => {
    if (!request.url?.startsWith('/interaction/')) return void handle(request, response)
    void (async () => {
      const details = await provider.interactionDetails(request, response)
      const grant = new provider.Grant({ accountId: current, clientId: CLIENT })
      grant.addOIDCScope('openid profile email')
      const grantId = await grant.save()
      const { name } = details.prompt
      const result = name === 'login' ? { login: { accountId: current, remember: false } } : { consent: { grantId } }
      await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true })
    })()
  })

  async function idToken(subject: string): Promise<string> {
    current = subject
    const verifier = 'a'.repeat(64)
    const challenge = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(verifier))).toString('base64url')
    const answer = await followLogin(
      `${issuer}/auth?client_id=${CLIENT}&response_type=code&scope=openid%20profile%20email&redirect_uri=${encodeURIComponent(native)}&code_challenge=${challenge}&code_challenge_method=S256&state=s`,
      native,
    )
    const reply = await fetch(`${issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: CLIENT,
        redirect_uri: native,
        code_verifier: verifier,
        code: answer.searchParams.get('code') ?? '',
      }),
    })
    const { id_token: token } = (await reply.json()) as { id_token?: string }
    if (token === undefined) throw new Error('The provider gave no ID token')
    return token
  }

  return {
    issuer,
    clientId: CLIENT,
    user: (subject, claims) => void users.set(subject, claims),
    signIn(subject) {
      current = subject
    },
    idToken,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Goes through the redirects of a login like a browser, cookies included, until it would leave for `until`; returns that address. */
export async function followLogin(start: string, until: string): Promise<URL> {
  const jar = new Map<string, string>()
  let url = start
  for (let hop = 0; hop < 20; hop++) {
    const reply = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
    })
    for (const line of reply.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    const location = reply.headers.get('location')
    if (location === null) throw new Error(`The login ended at ${url} with ${reply.status}: ${await reply.text()}`)
    const next = new URL(location, url)
    if (next.href.startsWith(until)) return next
    url = next.href
  }
  throw new Error('The login goes round in circles')
}
