import type { Instant } from '../clock/index.ts'
import type { Claimed } from './queue.ts'
import type { Worker } from './workers.ts'

/** A claim of this replica that has not ended. */
export interface Active {
  claimed: Claimed
  worker: Worker | null
  /** Ends what runs in this process. */
  abort: AbortController | null
  /** When it was last sent to a worker; 0 = not yet. */
  sentAt: Instant
  /** Until when whoever took it before the bus was away may come back to it. */
  awaitedUntil: Instant
}

/** By which the claims of a replica are found. */
export const keyOf = (tenantId: string, id: string): string => `${tenantId} ${id}`
