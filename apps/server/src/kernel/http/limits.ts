import { Fault, type Rate, type RateClass, RATES } from '@wheelhouse/contract'
import type { Redis } from 'ioredis'
import { LRUCache } from 'lru-cache'
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import type { Clock } from '../clock/index.ts'

export interface LimitFacts {
  ip: string
  principalId?: string
  tenantId?: string
}

/** Counts requests against the documented budgets (contract `RATES`); shared over replicas when Redis is configured. */
export interface Limits {
  /** Takes one request. Returns the headers to send; throws RATE_LIMIT_EXCEEDED with the time to wait. */
  take(rateClass: RateClass, facts: LimitFacts): Promise<Record<string, string>>
}

export interface LimitOptions {
  /** Budgets that the installation sets otherwise than the documents. */
  rates?: Partial<Record<RateClass, Pick<Rate, 'limit' | 'burst'>>>
  /** Windows are counted there, for all replicas together; while it is away each replica counts for itself. */
  redis?: Redis
}

export function openLimits(clock: Clock, scale: number, { rates = {}, redis }: LimitOptions = {}): Limits {
  const all = Object.entries(RATES).map(([name, rate]) => [name, { ...rate, ...rates[name as RateClass] }])
  const budgets = Object.fromEntries(all) as Record<RateClass, Rate>
  const windows = new Map<RateClass, RateLimiterAbstract>()
  const buckets = new Map<RateClass, TokenBuckets>()
  for (const [name, rate] of Object.entries(budgets) as [RateClass, Rate][]) {
    if (rate.limit === Infinity) continue
    const options = { keyPrefix: `wh_${name}`, points: Math.ceil(rate.limit * scale), duration: rate.windowMs / 1000 }
    // A class of one second is a bucket alone: a fixed window beside it would cut its burst (jobs.md §1.4).
    if (rate.windowMs > 1000) {
      windows.set(
        name,
        redis
          ? new RateLimiterRedis({ ...options, storeClient: redis, insuranceLimiter: new RateLimiterMemory(options) })
          : new RateLimiterMemory(options),
      )
    }
    if (rate.burst !== undefined)
      buckets.set(name, tokenBuckets(clock, rate.burst * scale, (rate.limit * scale) / rate.windowMs))
  }

  return {
    async take(rateClass, facts) {
      const rate = budgets[rateClass]
      if (rate.limit === Infinity) return {}
      const key =
        rate.by === 'tenant'
          ? (facts.tenantId ?? facts.ip)
          : rate.by === 'principal'
            ? (facts.principalId ?? facts.ip)
            : facts.ip
      const limit = Math.ceil(rate.limit * scale)
      const window = windows.get(rateClass)
      const headersOf = (remaining: number, msBeforeNext: number): Record<string, string> =>
        rate.headers
          ? {
              'X-RateLimit-Limit': String(limit),
              'X-RateLimit-Remaining': String(Math.max(0, remaining)),
              'X-RateLimit-Reset': String(Math.ceil((clock.now() + msBeforeNext) / 1000)),
            }
          : {}
      const burstWaitMs = buckets.get(rateClass)?.take(key) ?? 0
      if (burstWaitMs > 0) {
        // The window is not taken from; the answer says all the same how it stands.
        const stand = await window?.get(key)
        const headers = headersOf(stand?.remainingPoints ?? limit, stand?.msBeforeNext ?? rate.windowMs)
        throw new LimitFault(rate, limit, burstWaitMs, window ? headers : {})
      }
      if (!window) return {}
      const outcome = await window.consume(key).catch((refused: unknown) => {
        if (refused instanceof RateLimiterRes) return refused
        throw refused
      })
      const headers = headersOf(outcome.remainingPoints, outcome.msBeforeNext)
      if (outcome.consumedPoints > limit) throw new LimitFault(rate, limit, outcome.msBeforeNext, headers)
      return headers
    },
  }
}

/** The refusal of a spent budget, with the headers that its class documents. */
export class LimitFault extends Fault {
  readonly headers: Readonly<Record<string, string>>

  constructor(rate: Rate, limit: number, waitMs: number, headers: Readonly<Record<string, string>>) {
    const retryAfter = Math.max(1, Math.ceil(waitMs / 1000))
    const details = { limit, ...(rate.burst === undefined ? {} : { burst: rate.burst }), retryAfter }
    super('RATE_LIMIT_EXCEEDED', details, { retryAfterMs: retryAfter * 1000 })
    this.headers = headers
  }
}

interface TokenBuckets {
  /** Zero when a token was there, else the milliseconds until one is. */
  take(key: string): number
}

function tokenBuckets(clock: Clock, capacity: number, perMs: number): TokenBuckets {
  const levels = new LRUCache<string, { tokens: number; at: number }>({ max: 50_000 })
  return {
    take(key) {
      const now = clock.now()
      const level = levels.get(key) ?? { tokens: capacity, at: now }
      const tokens = Math.min(capacity, level.tokens + (now - level.at) * perMs)
      if (tokens < 1) {
        levels.set(key, { tokens, at: now })
        return (1 - tokens) / perMs
      }
      levels.set(key, { tokens: tokens - 1, at: now })
      return 0
    },
  }
}
