import { pause } from '../../kernel/clock/index.ts'
import type { DomainEvent, Events } from '../../kernel/events/index.ts'

/** Live events that wait for a slow reader; beyond them the stream reads on from the database. */
const MAX_WAITING = 500
const PAGE = 500
/** A live message may be lost on the bus: the database is asked at least that often. */
const LOOK_MS = 10_000

export interface StreamOptions {
  events: Pick<Events, 'follow' | 'replay'>
  tenantId: string
  /** Position of the last event that the reader has. */
  after: number
  signal: AbortSignal
  send(event: DomainEvent): Promise<void>
}

/**
 * Sends every event after a position, each once and in order, until the signal ends it. It listens first, then replays, then goes on
 * live; whatever does not follow on the last one sent is read from the database, so that nothing is missed however messages travel.
 */
export async function streamEvents({ events, tenantId, after, signal, send }: StreamOptions): Promise<void> {
  let last = after
  let waiting: DomainEvent[] = []
  let wake: (() => void) | undefined
  const stop = events.follow(tenantId, (event) => {
    // A reader that is too slow loses the copy, not the event.
    if (waiting.length >= MAX_WAITING) waiting = []
    waiting.push(event)
    wake?.()
  })

  async function replay(): Promise<void> {
    for (;;) {
      const page = await events.replay(tenantId, last, PAGE)
      for (const event of page) {
        if (signal.aborted) return
        await send(event)
        last = event.seq
      }
      if (page.length < PAGE) return
    }
  }

  async function rest(): Promise<void> {
    const woken = new AbortController()
    wake = () => woken.abort()
    if (waiting.length === 0) await pause(LOOK_MS, AbortSignal.any([woken.signal, signal])).catch(() => undefined)
    wake = undefined
  }

  try {
    await replay()
    while (!signal.aborted) {
      const [event] = waiting
      if (event === undefined) {
        await rest()
        if (waiting.length === 0 && !signal.aborted) await replay()
      } else if (event.seq <= last) waiting.shift()
      else if (event.seq > last + 1) await replay()
      else {
        waiting.shift()
        await send(event)
        last = event.seq
      }
    }
  } finally {
    stop()
  }
}
