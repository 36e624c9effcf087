/**
 * The documented budgets. `limit` requests in each `windowMs`, with `burst` as a token bucket beside it where a document has one.
 * `by`: whose counter. `rateLimits.scale` multiplies all of them (decisions D8).
 */
export interface Rate {
  limit: number
  windowMs: number
  burst?: number
  by: 'ip' | 'principal' | 'tenant'
  /** Answers carry X-RateLimit-Limit, -Remaining and -Reset. */
  headers?: true
}

const minute = 60_000

export const RATES = {
  none: { limit: Infinity, windowMs: minute, by: 'ip' },
  // platform.md §1.4
  'platform-auth': { limit: 20, windowMs: minute, by: 'ip' },
  'platform-std': { limit: 60, windowMs: minute, by: 'ip' },
  // fleet.md §3.5
  'fleet-default': { limit: 100, windowMs: minute, by: 'principal', headers: true },
  'fleet-strict': { limit: 10, windowMs: minute, by: 'principal', headers: true },
  'fleet-auth': { limit: 10, windowMs: minute, by: 'ip', headers: true },
  'fleet-agent': { limit: 600, windowMs: minute, by: 'principal', headers: true },
  'fleet-ingest': { limit: 6000, windowMs: minute, by: 'principal', headers: true },
  'fleet-ticket': { limit: 120, windowMs: minute, by: 'principal', headers: true },
  // release.md §4
  'release-standard': { limit: 1000, windowMs: minute, burst: 100, by: 'principal', headers: true },
  'release-premium': { limit: 5000, windowMs: minute, burst: 500, by: 'principal', headers: true },
  // failed authentication, and the registration of agents, whose tokens are guessed at like passwords
  'release-auth': { limit: 60, windowMs: minute, by: 'ip' },
  'release-agent': { limit: 120, windowMs: minute, by: 'principal', headers: true },
  // jobs.md §1.4: 50 a second, burst 100, one bucket a tenant
  'jobs-tenant': { limit: 50, windowMs: 1000, burst: 100, by: 'tenant' },
  'jobs-public': { limit: 50, windowMs: 1000, burst: 100, by: 'ip' },
  // what a SAML provider answers: to judge a hostile answer takes up to a quarter of a second
  'sso-answer': { limit: 60, windowMs: minute, by: 'ip' },
  // our own console and CLI, which must not live on the documents' smaller budgets (unification §9)
  native: { limit: 1200, windowMs: minute, by: 'principal', headers: true },
  'native-auth': { limit: 20, windowMs: minute, by: 'ip', headers: true },
  // devices that wait for their confirmation ask every 5 s, several behind one address
  'native-poll': { limit: 120, windowMs: minute, by: 'ip', headers: true },
} as const satisfies Record<string, Rate>

export type RateClass = keyof typeof RATES
