import type { Clock } from '../clock/index.ts'
import type { Active } from './active.ts'

/** Verbs that run at the same time, in all and of one tenant. They wait for others most of their time. */
const MOST_VERBS = 512
const MOST_VERBS_OF_TENANT = 128
/**
 * Jobs on their way by a topic alone, of one tenant and topic: nobody says how many its subscribers take. More where they have just
 * shown that they end more in a second.
 */
const MOST_BY_TOPIC = 128
const EVER_BY_TOPIC = 4096
const MOST_PACES = 10_000

/** What is on its way from this replica: in all, by tenant, verbs, and jobs that go by a topic without a known worker. */
export interface UnderWay {
  enter(entry: Active): void
  leave(entry: Active): void
  /** Claims of a tenant. */
  of(tenantId: string): number
  /** Whether one more verb may run, beside so many that are planned of this tenant and in all. */
  verbFits(tenantId: string, ofTenant: number, inAll: number): boolean
  byTopic(tenantId: string, pool: string): number
  mostByTopic(tenantId: string, pool: string): number
  /** Counts a place by a topic as taken, or free again. */
  holdTopic(tenantId: string, pool: string, by: 1 | -1): void
}

/** Adds to a count; one that comes to nothing is gone. */
export function count(map: Map<string, number>, key: string, by: number): void {
  const next = (map.get(key) ?? 0) + by
  if (next <= 0) map.delete(key)
  else map.set(key, next)
}

export function openUnderWay(clock: Clock): UnderWay {
  const byTenant = new Map<string, number>()
  const verbsOfTenant = new Map<string, number>()
  let verbs = 0
  const byTopic = new Map<string, number>()
  /** How many ended of those on their way by a topic, in this second and the one before. */
  const paces = new Map<string, { second: number; n: number; before: number }>()
  const topicKey = (tenantId: string, pool: string): string => `${tenantId} ${pool}`

  function notePace(key: string): void {
    const second = Math.floor(clock.now() / 1000)
    const pace = paces.get(key)
    if (pace?.second === second) pace.n += 1
    else {
      if (paces.size > MOST_PACES) paces.clear()
      paces.set(key, { second, n: 1, before: pace?.second === second - 1 ? pace.n : 0 })
    }
  }

  return {
    enter({ claimed: { tenantId, pool, verb }, worker }) {
      count(byTenant, tenantId, 1)
      if (verb !== null) {
        verbs += 1
        count(verbsOfTenant, tenantId, 1)
      } else if (worker === null) count(byTopic, topicKey(tenantId, pool), 1)
    },
    leave({ claimed: { tenantId, pool, verb }, worker, sentAt }) {
      count(byTenant, tenantId, -1)
      if (verb !== null) {
        verbs -= 1
        count(verbsOfTenant, tenantId, -1)
      } else if (worker === null) {
        const key = topicKey(tenantId, pool)
        count(byTopic, key, -1)
        if (sentAt > 0) notePace(key)
      }
    },
    of: (tenantId) => byTenant.get(tenantId) ?? 0,
    verbFits: (tenantId, ofTenant, inAll) =>
      verbs + inAll < MOST_VERBS && (verbsOfTenant.get(tenantId) ?? 0) + ofTenant < MOST_VERBS_OF_TENANT,
    byTopic: (tenantId, pool) => byTopic.get(topicKey(tenantId, pool)) ?? 0,
    mostByTopic(tenantId, pool) {
      const pace = paces.get(topicKey(tenantId, pool))
      if (!pace || pace.second < Math.floor(clock.now() / 1000) - 1) return MOST_BY_TOPIC
      return Math.min(EVER_BY_TOPIC, Math.max(MOST_BY_TOPIC, pace.n, pace.before))
    },
    holdTopic: (tenantId, pool, by) => count(byTopic, topicKey(tenantId, pool), by),
  }
}
