import type { Clock } from '../../kernel/clock/index.ts'
import type { Db } from '../../kernel/db/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import { hiddenFrom, seesAllTeams } from '../instances/visibility.ts'

/** Which instances the holder of a socket may hear of. Looked up again once a minute: teams change while sockets stay open. */
export interface Sight {
  sees(instanceId: string): boolean
}

const FRESH_MS = 60_000

export async function openSight(db: Db, clock: Clock, principal: Principal): Promise<Sight> {
  if (seesAllTeams(principal)) return { sees: () => true }
  const look = () => db.tenant(principal.tenantId, async (tx) => new Set(await hiddenFrom(tx, principal)))
  let hidden = await look()
  let lookedAt = clock.now()
  return {
    sees(instanceId) {
      if (clock.now() - lookedAt > FRESH_MS) {
        lookedAt = clock.now()
        look().then(
          (found) => (hidden = found),
          // The database is away: what was seen last holds on, and the next event looks again.
          () => (lookedAt = 0),
        )
      }
      return !hidden.has(instanceId)
    },
  }
}
