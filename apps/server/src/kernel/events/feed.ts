import type { Logger } from 'pino'
import type { Bus } from '../bus/index.ts'

/** Something that just happened and is worth showing now. It is not kept: what must not be lost is in the database already. */
export interface LiveEvent {
  topic: string
  data: unknown
}

/**
 * Live events of one tenant for the sockets and streams of all replicas. At most once, in the order of one replica, never across
 * tenants. A handler runs in the publisher's turn: it must not block and must bound what it keeps.
 */
export interface Feed {
  publishLive(tenantId: string, topic: string, data: unknown): void
  /** `topics` are exact names. Returns the way out; a replica listens to a tenant only while somebody does here. */
  subscribeLive(tenantId: string, topics: readonly string[], handler: (event: LiveEvent) => void): () => void
  close(): void
}

interface Room {
  handlers: Set<{ topics: ReadonlySet<string>; handle: (event: LiveEvent) => void }>
  leave(): void
}

/** A subject of the platform's own account, apart from the stored events' `evt.`. */
const PREFIX = 'wh.live'
const MAX_FRAME_BYTES = 900 * 1024

/** Opens the feed; the bus carries it to the other replicas; while it is away, live events stay here. */
export function openFeed(log: Logger, bus: Bus): Feed {
  const rooms = new Map<string, Room>()

  function deliver(tenantId: string, event: LiveEvent): void {
    for (const { topics, handle } of rooms.get(tenantId)?.handlers ?? []) {
      if (!topics.has(event.topic)) continue
      try {
        handle(event)
      } catch (error) {
        log.error({ err: error, topic: event.topic }, 'A live handler failed')
      }
    }
  }

  /** The bus takes 1 MiB; whoever publishes more than a screen can show splits it. */
  function frameOf(topic: string, data: unknown): Buffer | undefined {
    const frame = Buffer.from(JSON.stringify({ topic, data } satisfies LiveEvent))
    if (frame.length <= MAX_FRAME_BYTES) return frame
    log.warn({ topic, bytes: frame.length }, 'A live event is too large for other replicas')
    return undefined
  }

  function join(tenantId: string): Room {
    const listening = bus.onLive(`${PREFIX}.${tenantId}`, ({ data }) =>
      deliver(tenantId, JSON.parse(Buffer.from(data).toString()) as LiveEvent),
    )
    return { handlers: new Set(), leave: () => listening.close() }
  }

  return {
    publishLive(tenantId, topic, data) {
      deliver(tenantId, { topic, data })
      bus.publishLive(`${PREFIX}.${tenantId}`, () => frameOf(topic, data))
    },
    subscribeLive(tenantId, topics, handle) {
      let room = rooms.get(tenantId)
      if (!room) rooms.set(tenantId, (room = join(tenantId)))
      const entry = { topics: new Set(topics), handle }
      room.handlers.add(entry)
      return () => {
        room.handlers.delete(entry)
        if (room.handlers.size > 0 || rooms.get(tenantId) !== room) return
        rooms.delete(tenantId)
        room.leave()
      }
    },
    close() {
      for (const room of rooms.values()) room.leave()
      rooms.clear()
    },
  }
}
