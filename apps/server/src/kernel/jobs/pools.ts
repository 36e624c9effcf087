import type { PoolConfig, TimeoutConfig } from '../tenant-config/index.ts'
import type { JobRequest } from './request.ts'

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
