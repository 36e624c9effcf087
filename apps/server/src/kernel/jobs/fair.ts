import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock/index.ts'
import { type Db, sql } from '../db/index.ts'

/** Where in virtual time the next job of one key stands behind its last: a key that waits with many spreads over as many turns. */
const TURN = 1_000_000
const MOST_QUEUES = 10_000
/** Keys that are behind are forgotten from so many on. */
const MANY_KEYS = 1000

/** Which line a job stands in: one a pool, tenant and priority. */
export interface Line {
  tenantId: string
  pool: string
  rank: number
}

/**
 * Turns of the keys (principals) within one tenant's queue. A job's number `n` is its start in virtual time: not before what is served
 * now, and one turn after the last job of the same key. So whoever has nothing waiting is next, however many jobs another key has
 * waiting, and within a key the order of submission stays. Over replicas that take submissions at once it is nearly that.
 */
export interface Fair {
  /** The number of the next job of a key. */
  next(line: Line, principalId: string): Promise<number>
  /** These were claimed, or leased at once: virtual time has come to where they stood. */
  served(line: Line, n: number): void
  /** What stands first in each line that has somebody waiting; the other lines are empty. */
  seen(first: readonly (Line & { n: number })[]): void
  /** Read the lines anew: rows came back to them in another way. */
  forget(): void
}

interface Known {
  /** Virtual time: where the one stands who is served now. */
  time: number
  /** Key → where its last job stands. */
  last: Map<string, number>
}

const keyOf = ({ tenantId, pool, rank }: Line): string => `${tenantId} ${rank} ${pool}`

export function openFair({ db, clock }: { db: Db; clock: Clock }): Fair {
  const lines = new LRUCache<string, Promise<Known>>({ max: MOST_QUEUES })
  const ready = new LRUCache<string, Known>({ max: MOST_QUEUES })
  const idleTime = (): number => clock.now() * 1000

  async function load({ tenantId, pool, rank }: Line): Promise<Known> {
    const rows = await db.engine((tx) =>
      tx.many<{ key: string | null; first: number; last: number }>(sql`
        select principal_id::text as key, min(n) as first, max(n) as last from job_queue
         where state = 'ready' and pool = ${pool} and tenant_id = ${tenantId} and priority = ${rank}::smallint group by principal_id`),
    )
    return {
      time: rows.length === 0 ? idleTime() : Math.min(...rows.map(({ first }) => first)),
      last: new Map(rows.map(({ key, last }) => [key ?? '', last])),
    }
  }

  async function read(line: Line): Promise<Known> {
    const key = keyOf(line)
    let loading = lines.get(key)
    if (!loading) {
      loading = load(line)
      const mine = loading
      lines.set(key, mine)
      mine.then(
        (known) => lines.peek(key) === mine && ready.set(key, known),
        () => lines.peek(key) === mine && lines.delete(key),
      )
    }
    return loading
  }

  return {
    async next(line, principalId) {
      const known = ready.get(keyOf(line)) ?? (await read(line))
      const before = known.last.get(principalId)
      const n = before === undefined || before + TURN < known.time ? known.time : before + TURN
      known.last.set(principalId, n)
      return n
    },
    served(line, n) {
      const known = ready.get(keyOf(line))
      if (!known || n <= known.time) return
      known.time = n
      if (known.last.size < MANY_KEYS) return
      for (const [key, last] of known.last) if (last + TURN < n) known.last.delete(key)
    },
    seen(first) {
      const waiting = new Map(first.map((line) => [keyOf(line), line.n]))
      for (const [key, known] of ready.entries()) {
        const n = waiting.get(key)
        // Nobody waits, so nobody owes anything; every replica goes on from the same clock.
        if (n === undefined) {
          known.time = idleTime()
          known.last.clear()
          continue
        }
        // Another replica has begun anew.
        if (n < known.time - TURN) known.last.clear()
        known.time = n
      }
    },
    forget() {
      lines.clear()
      ready.clear()
    },
  }
}
