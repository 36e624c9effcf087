import { randomBytes } from 'node:crypto'
import { Fault } from '@wheelhouse/contract'
import { createRemoteJWKSet, customFetch, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import * as client from 'openid-client'
import type { Clock } from '../clock/index.ts'
import type { Config } from '../config/index.ts'
import type { Egress } from '../egress/index.ts'
import type { ExternalClaims } from '../identity/index.ts'
import { remembered } from './remembered.ts'

/** The configured OpenID provider (platform.md §7). */
export interface OidcProvider {
  /** As configured, with scheme. */
  issuer: string
  clientId: string
  uiClientId: string
  /** Checks a token of the provider. Throws AUTH_TOKEN_EXPIRED or AUTH_TOKEN_INVALID, the latter also when its keys cannot be fetched. */
  verify(token: string): Promise<ExternalClaims>
  /** The address to send a browser to: authorization code with PKCE S256. */
  authorizationUrl(flow: OidcFlow): Promise<string>
  /** Exchanges the code of the answered redirect. Throws AUTH_LOGIN_FAILED with the provider's reason as cause. */
  exchange(answer: URL, flow: OidcFlow): Promise<ExternalClaims>
}

/** What one login keeps between its two redirects. */
export interface OidcFlow {
  redirectUri: string
  state: string
  nonce: string
  codeVerifier: string
}

/** What only we know of a login until the provider has answered. */
export const newOidcSecrets = (): Pick<OidcFlow, 'nonce' | 'codeVerifier'> => ({
  nonce: randomBytes(32).toString('base64url'),
  codeVerifier: randomBytes(32).toString('base64url'),
})

export interface OidcOptions {
  config: Config['oidc']
  egress: Egress
  clock: Clock
}

const LEEWAY_S = 60
/** An unknown key id refetches the provider's keys at most this often (platform.md §7). */
const REFETCH_MS = 30_000

interface Discovered {
  metadata: client.ServerMetadata
  keys: JWTVerifyGetKey
}

/** Opens the provider's door; nothing is fetched before the first use. Undefined where none is configured. */
export function openOidc({ config, egress, clock }: OidcOptions): OidcProvider | undefined {
  const { issuer, clientId, groupsClaim } = config
  const uiClientId = config.uiClientId ?? clientId
  if (issuer === undefined || clientId === undefined || uiClientId === undefined) return undefined
  const call = callThrough(egress, new URL(issuer).hostname, config.tlsSkipVerify)

  const discover = remembered(clock, async (): Promise<Discovered> => {
    const reply = await call(`${bare(issuer ?? '')}/.well-known/openid-configuration`)
    const metadata = (await reply.json()) as client.ServerMetadata
    if (!reply.ok || typeof metadata.issuer !== 'string' || bare(metadata.issuer) !== bare(issuer ?? ''))
      throw new Error(`${issuer} is not the issuer of its own discovery document`)
    if (typeof metadata.jwks_uri !== 'string') throw new Error(`${issuer} names no keys`)
    const keys = createRemoteJWKSet(new URL(metadata.jwks_uri), { cooldownDuration: REFETCH_MS, [customFetch]: call })
    return { metadata, keys }
  })

  async function check(token: string): Promise<JWTPayload> {
    const { metadata, keys } = await discover()
    const { payload } = await jwtVerify(token, keys, {
      issuer: metadata.issuer,
      algorithms: ['RS256'],
      clockTolerance: LEEWAY_S,
      currentDate: new Date(clock.now()),
      requiredClaims: ['sub', 'exp'],
    })
    const audiences = [payload.aud ?? [], payload['azp'] ?? []].flat()
    if (!audiences.some((each) => each === clientId || each === uiClientId))
      throw new Error('The token is for somebody else')
    return payload
  }

  async function configuration(): Promise<client.Configuration> {
    const { metadata } = await discover()
    const secret = config.uiClientId === undefined ? config.clientSecret : config.uiClientSecret
    const made = new client.Configuration(
      metadata,
      uiClientId ?? '',
      { id_token_signed_response_alg: 'RS256', [client.clockTolerance]: LEEWAY_S },
      secret === undefined ? client.None() : client.ClientSecretBasic(secret),
    )
    made[client.customFetch] = call
    // A provider without TLS is the operator's own choice: its address stands in the configuration.
    if (issuer?.startsWith('http:')) client.allowInsecureRequests(made)
    return made
  }

  return {
    issuer,
    clientId,
    uiClientId,
    async verify(token) {
      const payload = await check(token).catch((cause: unknown) => {
        throw new Fault(cause instanceof errors.JWTExpired ? 'AUTH_TOKEN_EXPIRED' : 'AUTH_TOKEN_INVALID', {}, { cause })
      })
      return claimsOf(payload, groupsClaim)
    },
    async authorizationUrl({ redirectUri, state, nonce, codeVerifier }) {
      const url = client.buildAuthorizationUrl(await configuration(), {
        redirect_uri: redirectUri,
        scope: 'openid profile email',
        state,
        nonce,
        code_challenge: await client.calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: 'S256',
      })
      return url.href
    },
    async exchange(answer, flow) {
      try {
        const made = await configuration()
        const tokens = await client.authorizationCodeGrant(made, answer, {
          pkceCodeVerifier: flow.codeVerifier,
          expectedState: flow.state,
          expectedNonce: flow.nonce,
          idTokenExpected: true,
        })
        const payload = await check(tokens.id_token ?? '')
        // Providers may keep profile and groups out of the token.
        const isWhole = payload['email'] !== undefined && payload[groupsClaim] !== undefined
        const more =
          isWhole || made.serverMetadata().userinfo_endpoint === undefined
            ? {}
            : await client.fetchUserInfo(made, tokens.access_token, payload.sub ?? '')
        return claimsOf({ ...more, ...payload }, groupsClaim)
      } catch (cause) {
        throw new Fault('AUTH_LOGIN_FAILED', {}, { cause, message: 'The provider did not confirm the login' })
      }
    },
  }
}

const bare = (issuer: string): string => issuer.replace(/\/+$/, '')

function claimsOf(payload: JWTPayload, groupsClaim: string): ExternalClaims {
  const text = (name: string): string | undefined => {
    const value = payload[name]
    return typeof value === 'string' && value !== '' ? value.slice(0, 256) : undefined
  }
  const groups = payload[groupsClaim]
  const email = text('email')
  const name = text('name')
  const username = text('preferred_username')
  return {
    by: 'oidc',
    issuer: bare(String(payload.iss)),
    subject: String(payload.sub),
    emailVerified: payload['email_verified'] === true,
    groups: [groups ?? []].flat().filter((each): each is string => typeof each === 'string'),
    expiresAt: Number(payload.exp) * 1000,
    ...(email === undefined ? {} : { email }),
    ...(name === undefined ? {} : { name }),
    ...(username === undefined ? {} : { username }),
  }
}

/** The libraries' calls, through the one way out. The provider's own host was named by the operator, so it may be a private one. */
function callThrough(egress: Egress, host: string, skipVerify: boolean) {
  return async (
    url: string,
    init: { method?: string; headers?: unknown; body?: unknown; signal?: AbortSignal | null } = {},
  ): Promise<Response> => {
    const { method, headers, body, signal } = init
    const reply = await egress.fetch(url, {
      ...(method === undefined ? {} : { method }),
      headers: Object.fromEntries(new Headers(headers as Record<string, string> | undefined)),
      ...(body === undefined || body === null ? {} : { body: String(body) }),
      ...(signal ? { signal } : {}),
      ...(skipVerify ? { tls: { rejectUnauthorized: false } } : {}),
      approved: [host],
      timeoutMs: 10_000,
      maxBytes: 1024 * 1024,
    })
    const given = Object.entries(reply.headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)] as [string, string]],
    )
    return new Response(reply.body.length === 0 ? null : new Uint8Array(reply.body), {
      status: reply.status,
      headers: given,
    })
  }
}
