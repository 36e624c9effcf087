import { at, jsonb, sql, type Tx } from '../db/index.ts'
import { memoryName } from './keys.ts'

/** One entry of `mem:<memory id>:events` (jobs.md 28, run chat); members beyond the documented ones stay. */
export interface MemoryEvent {
  id?: string
  role: string
  content: string
  /** Seconds since 1970. */
  ts: number
  [member: string]: unknown
}

/** As many as a memory keeps (jobs.md 28). */
export const KEPT_EVENTS = 20
const LIFE_MS = 30 * 24 * 3_600_000

/**
 * Appends to a memory's events and drops what is older than the last 20 (jobs.md 28). `mem:x` and `x` are one memory. Returns the
 * event's position, which stays its own. `lifeMs` counts from the event's time; default 30 days.
 */
export async function appendEvent(tx: Tx, memoryId: string, event: MemoryEvent, lifeMs = LIFE_MS): Promise<number> {
  const memory = memoryName(memoryId)
  // Two that append at once would take the same position.
  await tx.run(sql`select pg_advisory_xact_lock(hashtextextended(${`memory ${tx.tenantId} ${memory}`}, 0))`)
  const { seq } = await tx.one<{ seq: number }>(sql`
    insert into memory_events (tenant_id, memory_id, seq, body, expires_at)
    select ${tx.tenantId}, ${memory}, coalesce(max(seq) + 1, 0), ${jsonb(event)}, ${at(event.ts * 1000 + lifeMs)}
      from memory_events where memory_id = ${memory}
    returning seq`)
  await tx.run(sql`delete from memory_events where memory_id = ${memory} and seq <= ${seq - KEPT_EVENTS}`)
  return seq
}

/**
 * Events of a memory, newest first (run chat, jobs.md 8). `cursor` is the position to begin at; `next` that of the next older event,
 * null when there is none.
 */
export async function listEvents(
  tx: Tx,
  memoryId: string,
  { limit, cursor }: { limit: number; cursor?: number },
): Promise<{ items: { index: number; event: MemoryEvent }[]; next: number | null }> {
  const rows = await tx.many<{ index: number; event: MemoryEvent }>(sql`
    select seq as index, body as event from memory_events
     where memory_id = ${memoryName(memoryId)} and ${cursor === undefined ? sql`true` : sql`seq <= ${cursor}`}
     order by seq desc limit ${limit + 1}`)
  return { items: rows.slice(0, limit), next: rows[limit]?.index ?? null }
}

/** All events of a memory, oldest first; at most 20. */
export async function recentEvents(tx: Tx, memoryId: string): Promise<MemoryEvent[]> {
  const { items } = await listEvents(tx, memoryId, { limit: KEPT_EVENTS })
  return items.map(({ event }) => event).toReversed()
}

/** Puts these events in the place of a memory's own, as who holds a list of their own does. */
export async function replaceEvents(tx: Tx, memoryId: string, events: readonly MemoryEvent[]): Promise<void> {
  await tx.run(sql`delete from memory_events where memory_id = ${memoryName(memoryId)}`)
  for (const event of events.slice(-KEPT_EVENTS)) await appendEvent(tx, memoryId, event)
}
