import type { IncomingHttpHeaders } from 'node:http'
import { Fault } from '@wheelhouse/contract'
import type { Clock } from '../clock/index.ts'
import type { Db } from '../db/index.ts'
import { type Authenticator, can, findTenant, isJwt, type Principal, redeemTicket } from '../identity/index.ts'
import type { CredentialSource, Dialect } from './dialect.ts'

/** Verifies the JWTs of our own authority. */
export interface TokenAuthority {
  verify(token: string): Promise<Principal>
}

export interface Gate {
  db: Db
  clock: Clock
  authenticator: Authenticator
  tokens: TokenAuthority
  /** The principal as it acts for whom it names (`X-On-Behalf-Of`). Throws PERM_DENIED where it may not. */
  actFor(principal: Principal, named: string): Promise<Principal>
}

export interface Presented {
  headers: IncomingHttpHeaders
  query: Readonly<Record<string, unknown>>
  /** Upgrades alone may carry tickets, subprotocol and query credentials (decisions D8). */
  upgrade: boolean
  path: string
}

interface Found {
  source: CredentialSource
  token: string
}

/** The class of paths that a ticket is bound to: its first segment under the sockets, such as `/ws/terminal`. */
export const pathClassOf = (path: string): string => path.split('/').slice(0, 3).join('/')

export const cookieOf = (headers: IncomingHttpHeaders, name: string): string | undefined =>
  headers.cookie
    ?.split(';')
    .map((part) => part.trim().split('='))
    .find(([key]) => key === name)?.[1]

const clean = (value: string): string => value.trim().replace(/^["']|["']$/g, '')

function look(source: CredentialSource, { headers, query, upgrade }: Presented, dialect: Dialect): Found[] {
  const one = (token: string | undefined): Found[] => (token === undefined || token === '' ? [] : [{ source, token }])
  const fromQuery = (name: string): Found[] => (upgrade && typeof query[name] === 'string' ? one(query[name]) : [])
  switch (source) {
    case 'bearer': {
      const [scheme = '', token] = (headers.authorization ?? '').split(/\s+/, 2)
      return scheme.toLowerCase() === 'bearer' ? one(token) : []
    }
    case 'x-api-key': {
      const header = headers['x-api-key']
      return typeof header === 'string' ? one(clean(header)) : []
    }
    case 'cookie':
      return dialect.cookies.flatMap((name) => one(cookieOf(headers, name)))
    case 'subprotocol':
      return upgrade ? one(subprotocolToken(headers['sec-websocket-protocol'])) : []
    case 'ticket':
      return fromQuery('ticket')
    case 'query-apiKey':
      return fromQuery('apiKey')
    case 'query-token':
      return fromQuery('token')
  }
}

/** jobs.md §18.4: `cordum-api-key, <base64url>` or `cordum-api-key.<base64url>`. */
function subprotocolToken(header: string | undefined): string | undefined {
  const offered = (header ?? '').split(',').map((part) => part.trim())
  const at = offered.findIndex((part) => part.toLowerCase() === 'cordum-api-key')
  const dotted = offered.find((part) => part.toLowerCase().startsWith('cordum-api-key.'))
  const encoded = at >= 0 ? offered[at + 1] : dotted?.slice('cordum-api-key.'.length)
  if (encoded === undefined) return undefined
  const decoded = Buffer.from(encoded, 'base64url').toString()
  return /^(wh_|session-|ey)/.test(decoded) ? decoded : encoded
}

/** The protocol to echo, or browsers close the socket (jobs.md §18.4). */
export function echoedProtocol(offered: ReadonlySet<string>): string | false {
  for (const protocol of offered) if (protocol.toLowerCase().startsWith('cordum-api-key')) return protocol
  return false
}

export interface Identified {
  principal: Principal
  source: CredentialSource
}

/**
 * Who calls, by the first credential of the surface that is present; undefined when there is none.
 * A credential that is present and bad is refused at once, except on upgrades, where a bad ticket or key falls through (fleet.md §3.6).
 */
export async function identify(gate: Gate, presented: Presented, dialect: Dialect): Promise<Identified | undefined> {
  let refused: Fault | undefined
  for (const source of dialect.credentials) {
    for (const { token } of look(source, presented, dialect)) {
      try {
        const principal = await resolve(gate, source, token, presented)
        if (principal) return { principal: await inTenant(gate, principal, presented, dialect), source }
        refused ??= new Fault('AUTH_TOKEN_INVALID')
      } catch (error) {
        if (!(error instanceof Fault) || error.status !== 401 || !presented.upgrade) throw error
        refused ??= error
      }
    }
  }
  if (refused) throw refused
  return undefined
}

async function resolve(
  gate: Gate,
  source: CredentialSource,
  token: string,
  presented: Presented,
): Promise<Principal | undefined> {
  if (source === 'ticket') return redeemTicket(gate.db, gate.clock, token, pathClassOf(presented.path))
  const principal = isJwt(token) ? await gate.tokens.verify(token) : await gate.authenticator.opaque(token)
  return source === 'cookie' ? { ...principal, credential: 'cookie' } : principal
}

/** Where a surface names the tenant in a header, it must be the credential's own, or the principal may cross tenants. */
async function inTenant(gate: Gate, principal: Principal, presented: Presented, dialect: Dialect): Promise<Principal> {
  if (!dialect.tenantHeader) return principal
  const header = presented.headers[dialect.tenantHeader.toLowerCase()]
  const named = typeof header === 'string' ? header : presented.query['tenant_id']
  if (typeof named !== 'string' || named === '' || named === principal.tenantId || named === principal.tenantSlug)
    return principal
  const tenant = can(principal, 'tenant:cross') ? await gate.db.auth((tx) => findTenant(tx, named)) : undefined
  if (!tenant) throw new Fault('PERM_TENANT')
  return { ...principal, tenantId: tenant.id, tenantSlug: tenant.slug }
}
