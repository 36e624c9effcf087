import type { Logger } from 'pino'
import type { Bus } from '../bus/index.ts'
import { type Clock, pause } from '../clock/index.ts'
import { type Db, sql } from '../db/index.ts'
import type { Vault } from '../vault/index.ts'
import { type CheckpointSigner, openCheckpoints } from './checkpoints.ts'
import type { DomainEvent } from './sealed.ts'
import { eventOf, startSealer } from './sealer.ts'

export interface Events {
  /** Something was committed that waits to be sealed. Cheap; call it after the commit. */
  wake(): void
  /** Resolves once all that was committed before the call is sealed, or after a second (decisions D7). */
  settled(tenantId: string): Promise<void>
  /** Sealed events after a position, oldest first; at most `limit`. */
  replay(tenantId: string, afterSeq: number, limit: number): Promise<DomainEvent[]>
  /** Live events of one tenant, from every replica, in order. Returns the way to end it. */
  follow(tenantId: string, listener: (event: DomainEvent) => void): () => void
  /** Hears what this replica sealed, of all tenants, after the commit. For counters: it must neither block nor throw. */
  onSealed(listener: (events: readonly DomainEvent[]) => void): void
  checkpoints: CheckpointSigner
  close(): Promise<void>
}

const WAIT_MS = 1000

interface Followers {
  listeners: Set<(event: DomainEvent) => void>
  stop(): void
}

/** Opens the stream of events: sealing, live fan-out over the bus, replay from Postgres. */
export function openEvents({
  db,
  bus,
  clock,
  log,
  vault,
}: {
  db: Db
  bus: Bus
  clock: Clock
  log: Logger
  vault: Vault
}): Events {
  const checkpoints = openCheckpoints(db, clock, vault)
  const followers = new Map<string, Followers>()
  const sealedListeners: ((events: readonly DomainEvent[]) => void)[] = []
  const sealer = startSealer({
    db,
    log,
    checkpoints,
    onEvents(events) {
      for (const event of events) {
        bus.publishEvent(event.tenantId, event.type, () => Buffer.from(JSON.stringify(event)))
        tell(event)
      }
      for (const listener of sealedListeners) listener(events)
    },
  })
  const waking = bus.onWake('outbox', () => sealer.wake())

  function wake(): void {
    sealer.wake()
    // Another replica seals.
    if (!sealer.reigns()) bus.wake('outbox')
  }

  /** Who follows the tenant here: of what is sealed here in its order, of what is sealed elsewhere in that of the bus. What is lost is replayed by seq. */
  function tell(event: DomainEvent): void {
    for (const listener of followers.get(event.tenantId)?.listeners ?? []) {
      try {
        listener(event)
      } catch (error) {
        log.error({ err: error, type: event.type }, 'Following an event failed')
      }
    }
  }

  function listen(tenantId: string): Followers {
    const listeners = new Set<(event: DomainEvent) => void>()
    const subscription = bus.onEvents(tenantId, ({ data }) =>
      tell(JSON.parse(Buffer.from(data).toString()) as DomainEvent),
    )
    const made = { listeners, stop: () => subscription.close() }
    followers.set(tenantId, made)
    return made
  }

  return {
    checkpoints,
    wake,
    onSealed: (listener) => void sealedListeners.push(listener),
    async settled(tenantId) {
      const { n: until } = await db.engine((tx) =>
        tx.one<{ n: number | null }>(sql`select max(n) as n from outbox where tenant_id = ${tenantId}`),
      )
      if (until === null) return
      wake()
      const deadline = performance.now() + WAIT_MS
      for (let waitMs = 5; performance.now() < deadline; waitMs = Math.min(waitMs * 2, 100)) {
        const left = await db.engine((tx) =>
          tx.maybe(sql`select 1 from outbox where tenant_id = ${tenantId} and n <= ${until} limit 1`),
        )
        if (!left) return
        await pause(waitMs)
      }
    },
    async replay(tenantId, afterSeq, limit) {
      const rows = await db.tenant(tenantId, (tx) =>
        tx.many<Parameters<typeof eventOf>[0]>(sql`
          select tenant_id, seq, id, at, body from events where seq > ${afterSeq} order by seq limit ${limit}`),
      )
      return rows.map(eventOf)
    },
    follow(tenantId, listener) {
      const known = followers.get(tenantId) ?? listen(tenantId)
      known.listeners.add(listener)
      return () => {
        known.listeners.delete(listener)
        if (known.listeners.size > 0 || followers.get(tenantId) !== known) return
        known.stop()
        followers.delete(tenantId)
      }
    },
    async close() {
      waking.close()
      for (const each of followers.values()) each.stop()
      await sealer.stop()
    },
  }
}
