import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock/index.ts'
import { type Db, sql } from '../db/index.ts'
import type { JobRequest } from './request.ts'

/** jobs.md 17.3: which pools serve a topic, and what each pool provides. */
export interface PoolConfig {
  topics: Readonly<Record<string, readonly string[]>>
  pools: Readonly<Record<string, { requires: readonly string[] }>>
}

/** jobs.md 17.5, as far as jobs are concerned. Absent values are the built-in ones. */
export interface TimeoutConfig {
  topics: Readonly<Record<string, { timeoutMs?: number; maxRetries?: number }>>
  workflows: Readonly<Record<string, { childTimeoutMs?: number; maxRetries?: number }>>
  runningTimeoutMs: number
}

export interface Routing {
  /** Null: the tenant has configured none, and topics find their workers by themselves. */
  pools: PoolConfig | null
  timeouts: TimeoutConfig
}

/** An attempt runs at most this long where nothing says otherwise (jobs.md 17.5). */
const RUNNING_TIMEOUT_MS = 9_000_000
/** As the documents have it, a change of configuration is seen within 30 s; here within 5. */
const REREAD_MS = 5_000

const NO_TIMEOUTS: TimeoutConfig = { topics: {}, workflows: {}, runningTimeoutMs: RUNNING_TIMEOUT_MS }

/** The pool of verbs: they run in the server. */
export const VERB_POOL = 'wh'

/** A job's way: a verb's, a choice of configured pools, or the topic's own subscribers. */
export type Route =
  | { kind: 'verb'; pool: typeof VERB_POOL }
  | { kind: 'pools'; pool: string; names: readonly string[] }
  | { kind: 'topic'; pool: string; topic: string }

/** Reads a queue row's pool back into its route. */
export function routeOf(pool: string): Route {
  if (pool === VERB_POOL) return { kind: 'verb', pool: VERB_POOL }
  if (pool.startsWith('~')) return { kind: 'topic', pool, topic: pool.slice(1) }
  return { kind: 'pools', pool, names: pool.split('|') }
}

/**
 * Where a job may run (jobs.md 17.3 steps 1 to 3). Undefined: `no_pool_mapping`. A tenant that has configured pools gets exactly
 * them; one that has not gets its topics served by whoever subscribes to them.
 */
export function routeFor(config: PoolConfig | null, request: JobRequest): Route | undefined {
  if (request.verb !== undefined) return { kind: 'verb', pool: VERB_POOL }
  if (!config) return { kind: 'topic', pool: `~${request.topic}`, topic: request.topic }
  const preferred = request.labels?.['preferred_pool']
  const wanted = (request.meta?.requires ?? []).map((each) => each.toLowerCase())
  const names = (config.topics[request.topic] ?? [])
    .filter((name) => preferred === undefined || name === preferred)
    .filter((name) => {
      const provided = (config.pools[name]?.requires ?? []).map((each) => each.toLowerCase())
      return wanted.every((each) => provided.includes(each))
    })
  return names.length === 0 ? undefined : { kind: 'pools', pool: [...names].sort().join('|'), names }
}

/** How long an attempt may run and how many there are. */
export function limitsFor(timeouts: TimeoutConfig, request: JobRequest): { timeoutMs: number; maxAttempts: number } {
  const topic = timeouts.topics[request.topic] ?? {}
  const workflow = request.workflowId === undefined ? {} : (timeouts.workflows[request.workflowId] ?? {})
  return {
    timeoutMs: topic.timeoutMs ?? workflow.childTimeoutMs ?? timeouts.runningTimeoutMs,
    maxAttempts: 1 + (topic.maxRetries ?? workflow.maxRetries ?? 0),
  }
}

interface Row {
  pools: PoolConfig | null
  timeouts: Partial<TimeoutConfig> | null
}

/** The routing of tenants, remembered for seconds. */
export function openRouting(
  db: Db,
  clock: Clock,
): { of(tenantId: string): Promise<Routing>; forget(tenantId: string): void } {
  const cache = new LRUCache<string, { routing: Promise<Routing>; until: number }>({ max: 10_000 })
  const read = async (tenantId: string): Promise<Routing> => {
    const row = await db.engine((tx) =>
      tx.maybe<Row>(sql`select pools, timeouts from pool_config where tenant_id = ${tenantId}`),
    )
    return { pools: row?.pools ?? null, timeouts: { ...NO_TIMEOUTS, ...row?.timeouts } }
  }
  return {
    of(tenantId) {
      const known = cache.get(tenantId)
      if (known && known.until > clock.now()) return known.routing
      const routing = read(tenantId)
      cache.set(tenantId, { routing, until: clock.now() + REREAD_MS })
      routing.catch(() => cache.delete(tenantId))
      return routing
    },
    forget: (tenantId) => void cache.delete(tenantId),
  }
}
