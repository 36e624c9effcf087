import type { Endpoint, Fault, Page, RateClass, Surface } from '@wheelhouse/contract'
import type { Instant } from '../clock/index.ts'
import type { Principal } from '../identity/index.ts'

export interface RenderFacts {
  requestId: string
  now: Instant
  endpoint?: Endpoint
  principal?: Principal
  method: string
  path: string
}

/** Where a surface looks for credentials, in order (decisions D8). `subprotocol` and `queryKey` count on upgrades only. */
export type CredentialSource =
  'bearer' | 'x-api-key' | 'cookie' | 'subprotocol' | 'ticket' | 'query-apiKey' | 'query-token'

/** Everything in which one surface's manner differs from another's, as data. Handlers know none of it. */
export interface Dialect {
  surface: Surface
  credentials: readonly CredentialSource[]
  /** Names of the session cookie that the surface accepts. */
  cookies: readonly string[]
  /** Unknown body members are refused (release) or ignored (unification §9). */
  strictBody: boolean
  /** Bodies with repeated or dangerous names are refused (platform.md §19.4). */
  carefulJson?: true
  /** `null` members of a body count as absent (jobs.md §1.6). */
  nullIsAbsent: boolean
  /** Status of a POST declared `creates`. */
  createdStatus: 200 | 201
  /** A header that names the tenant; it must be the credential's own unless the principal may cross tenants. */
  tenantHeader?: string
  /** Wrong method on a known path: 405, or 404 as if the path were unknown. */
  knowsMethodNotAllowed: boolean
  /** Query values that do not parse fall back to their default instead of being refused (jobs.md §1.6). */
  lenientQuery: boolean
  paging: {
    pageSize: readonly string[]
    defaultPageSize: number
    maxPageSize: number
    /** Out of range: refused (release) or clamped. */
    refuse: boolean
    /** Whether `sort` and `filter` are read from the query. */
    grammar: boolean
  }
  idempotencyConflict: 409 | 422
  /** The bucket of an address that failed authentication is taken from, where the document names one (release.md §4). */
  failedAuthentication?: RateClass
  exposedHeaders: readonly string[]
  allowedHeaders: readonly string[]
  success(value: unknown, page: Page<unknown> | undefined, facts: RenderFacts): unknown
  error(
    fault: Fault,
    facts: RenderFacts,
  ): { status: number; body: unknown; contentType?: string; headers?: Readonly<Record<string, string>> }
}

/** fleet.md §1.2 and release.md §2: how many pages a total makes. */
export const pageCount = (total: number, pageSize: number): number => Math.ceil(total / pageSize)
