import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { IdentityProvider, SamlLib, ServiceProvider, setSchemaValidator } from 'samlify'
import { selfSigned } from './certificate.ts'

export interface SamlUser {
  nameId?: string
  format?: string
  attributes?: Readonly<Record<string, string | readonly string[]>>
}

/** How an answer differs from the truth. */
export interface Untruth {
  /** Values of the answer's template: `Audience`, `SubjectRecipient`, `InResponseTo`, `ConditionsNotOnOrAfter` and so on. */
  tags?: Readonly<Record<string, string>>
  /** Changes the answer before it is signed. */
  edit?(template: string): string
  /** Changes our metadata before the provider reads them. */
  partner?(metadata: string): string
  /** Address of the algorithm to sign with. */
  algorithm?: string
  /** Another's key, PEM. */
  key?: string
}

/** What the provider's page makes a browser post to us. */
export interface PostedAnswer {
  action: string
  SAMLResponse: string
  RelayState: string
}

/** A real SAML provider on a free loopback port. Its page asks for a name, and believes it. */
export interface SamlIdp {
  issuer: string
  metadata: string
  /** Names our metadata to it: it answers nobody else. */
  meet(metadataUrl: string): void
  user(name: string, user: SamlUser): void
  /** All answers until the next call differ like this. */
  lie(untruth: Untruth): void
  close(): Promise<void>
}

// We judge the provider's requests and answers ourselves: that is what the tests are about.
setSchemaValidator({ validate: () => Promise.resolve('unasked') })

const EMAIL = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress'
const REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect'
const PERSISTENT = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent'
const STATEMENT =
  '<saml:AuthnStatement AuthnInstant="{IssueInstant}" SessionIndex="{AssertionID}"><saml:AuthnContext>' +
  '<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef>' +
  '</saml:AuthnContext></saml:AuthnStatement>'

/** Starts the provider. `host` is how browsers call it: `localhost` is another site than `127.0.0.1`. */
export async function startIdp(host = '127.0.0.1'): Promise<SamlIdp> {
  const { cert, key } = selfSigned('rsa')
  const users = new Map<string, SamlUser>()
  let partnerUrl = ''
  let untruth: Untruth = {}
  const server: Server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://${host}:${(server.address() as AddressInfo).port}`
  const issuer = `${origin}/metadata`
  const provider = (signWith = key, algorithm = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256') =>
    IdentityProvider({
      entityID: issuer,
      privateKey: signWith,
      signingCert: cert,
      requestSignatureAlgorithm: algorithm,
      nameIDFormat: [PERSISTENT],
      singleSignOnService: [{ Binding: REDIRECT, Location: `${origin}/sso?tenant=one` }],
      // It wants one, though nobody logs out there.
      singleLogoutService: [{ Binding: REDIRECT, Location: `${origin}/logout` }],
    })

  async function answer(query: Record<string, string>, name: string): Promise<PostedAnswer> {
    const ours = await (await fetch(partnerUrl)).text()
    const partner = ServiceProvider({ metadata: untruth.partner?.(ours) ?? ours })
    const idp = provider(untruth.key, untruth.algorithm)
    const { extract } = await idp.parseLoginRequest(partner, 'redirect', { query })
    const relayState = query['RelayState'] ?? ''
    const fill = (template: string) =>
      fillIn(template, { asked: extract, issuer, user: users.get(name) ?? {}, name, untruth })
    const made = await idp.createLoginResponse(
      partner,
      { extract },
      'post',
      {},
      { relayState, customTagReplacement: fill },
    )
    if (!('entityEndpoint' in made)) throw new Error('The provider made no form')
    return { action: made.entityEndpoint, SAMLResponse: made.context, RelayState: relayState }
  }

  server.on('request', (request, response) => {
    void (async () => {
      response.setHeader('content-type', 'text/html; charset=utf-8')
      if (request.url === '/metadata') return response.end(provider().getMetadata())
      const query = Object.fromEntries(new URL(request.url ?? '', origin).searchParams)
      if (request.method === 'GET') return response.end(askPage(query))
      const { user = '', ...asked } = await form(request)
      return response.end(postPage(await answer(asked, user)))
    })().catch((error: unknown) => response.writeHead(500).end(String(error)))
  })

  return {
    issuer,
    metadata: provider().getMetadata(),
    meet: (url) => void (partnerUrl = url),
    user: (name, user) => void users.set(name, user),
    lie: (given) => void (untruth = given),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Fills the provider's template in with the truth, or with what the test wants said. */
function fillIn(
  template: string,
  facts: {
    asked: { request?: unknown; issuer?: unknown }
    issuer: string
    user: SamlUser
    name: string
    untruth: Untruth
  },
): { id: string; context: string } {
  const { id: inResponseTo, assertionConsumerServiceUrl: acs } = facts.asked.request as Record<string, string>
  const { user, name, untruth } = facts
  const now = Date.now()
  const iso = (offsetMs: number): string => new Date(now + offsetMs).toISOString()
  const id = `_${crypto.randomUUID()}`
  const edit = untruth.edit ?? ((whole: string) => whole)
  const context = edit(
    template.replace('{AuthnStatement}', STATEMENT).replace('{AttributeStatement}', statementOf(user.attributes ?? {})),
  )
  return {
    id,
    context: SamlLib.replaceTagsByValue(context, {
      ID: id,
      AssertionID: `_${crypto.randomUUID()}`,
      IssueInstant: iso(0),
      Issuer: facts.issuer,
      Destination: acs,
      SubjectRecipient: acs,
      InResponseTo: inResponseTo,
      Audience: String(facts.asked.issuer),
      StatusCode: 'urn:oasis:names:tc:SAML:2.0:status:Success',
      ConditionsNotBefore: iso(0),
      ConditionsNotOnOrAfter: iso(300_000),
      SubjectConfirmationDataNotOnOrAfter: iso(300_000),
      NameIDFormat: user.format ?? (name.includes('@') ? EMAIL : PERSISTENT),
      NameID: user.nameId ?? name,
      ...untruth.tags,
    }),
  }
}

const escaped = (value: string): string => value.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`)

const statementOf = (attributes: Required<SamlUser>['attributes']): string =>
  `<saml:AttributeStatement>${Object.entries(attributes)
    .map(([name, values]) => {
      const given = [values].flat().map((each) => `<saml:AttributeValue>${escaped(each)}</saml:AttributeValue>`)
      return `<saml:Attribute Name="${escaped(name)}">${given.join('')}</saml:Attribute>`
    })
    .join('')}</saml:AttributeStatement>`

const hidden = (fields: Readonly<Record<string, string>>): string =>
  Object.entries(fields)
    .map(([name, value]) => `<input type="hidden" name="${name}" value="${escaped(value)}">`)
    .join('')

const askPage = (query: Readonly<Record<string, string>>): string =>
  `<!doctype html><title>Provider</title><form method="post" action="/sso">${hidden(query)}
   <label>User <input name="user"></label><button>Go on</button></form>`

const postPage = ({ action, ...fields }: PostedAnswer): string =>
  `<!doctype html><title>Provider</title><form method="post" action="${escaped(action)}">${hidden(fields)}</form>
   <script>document.forms[0].submit()</script>`

const form = async (request: IncomingMessage): Promise<Record<string, string>> =>
  Object.fromEntries(new URLSearchParams(await text(request)))

/** Does at the provider's pages what a person would: gives the name. Returns what the last page then posts to us. */
export async function answerFor(address: string, user: string): Promise<PostedAnswer> {
  const asked = formIn(await (await fetch(address)).text())
  const reply = await fetch(new URL(asked.action, address), {
    method: 'POST',
    body: new URLSearchParams({ ...asked.fields, user }),
  })
  const page = await reply.text()
  if (!reply.ok) throw new Error(`The provider answered ${reply.status}: ${page}`)
  const { action, fields } = formIn(page)
  return { action, SAMLResponse: fields['SAMLResponse'] ?? '', RelayState: fields['RelayState'] ?? '' }
}

function formIn(page: string): { action: string; fields: Record<string, string> } {
  const plain = (value: string): string =>
    value.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
  const [, action = ''] = /<form [^>]*action="([^"]*)"/.exec(page) ?? []
  const inputs = [...page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)]
  return {
    action: plain(action),
    fields: Object.fromEntries(inputs.map(([, name = '', value = '']) => [name, plain(value)])),
  }
}
