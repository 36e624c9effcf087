import type { Instant } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { publish } from '../../kernel/events/index.ts'
import type { Actor } from '../../kernel/identity/index.ts'
import { type DueFreeze, dueFreezes, markTold } from './tables.ts'

/** Publishes that a window began to bind, or ceased to (release.md §6.2, S). */
export const publishFreeze = (
  tx: Tx,
  what: 'started' | 'ended',
  freeze: { id: string; environmentId: string; reason: string },
  actor: Actor,
  at: Instant,
): Promise<string> =>
  publish(tx, {
    type: `environment.freeze_${what}`,
    resource: { kind: 'environment', id: freeze.environmentId },
    actor,
    data: { freezeWindowId: freeze.id, reason: freeze.reason },
    at,
  })

/**
 * Tells of all occurrences of one tenant's windows that began or ended since the last call; repeatable, each is told once.
 * An occurrence that came and went while nobody looked is told as both. Returns how many windows were due.
 */
export async function announceFreezes(tx: Tx, now: Instant, actor: Actor): Promise<number> {
  const due = await dueFreezes(tx, now)
  for (const freeze of due) await announce(tx, freeze, now, actor)
  return due.length
}

async function announce(tx: Tx, row: DueFreeze, now: Instant, actor: Actor): Promise<void> {
  const freeze = { id: row.id, environmentId: row.environment_id, reason: row.reason }
  let { started_occurrence: started, ended_occurrence: ended } = row
  if (started !== null && ended !== started && (row.started_end ?? now) <= now) {
    await publishFreeze(tx, 'ended', freeze, actor, row.started_end ?? now)
    ended = started
  }
  if (row.occurrence !== null && row.occurrence !== started) {
    await publishFreeze(tx, 'started', freeze, actor, row.occurrence)
    started = row.occurrence
    if ((row.occurrence_end ?? now) <= now) {
      await publishFreeze(tx, 'ended', freeze, actor, row.occurrence_end ?? now)
      ended = started
    }
  }
  const running = row.occurrence_end !== null && row.occurrence_end > now
  await markTold(tx, row.id, { started, ended, due: running ? row.occurrence_end : row.following })
}
