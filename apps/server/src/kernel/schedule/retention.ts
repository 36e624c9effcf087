import type { Clock } from '../clock/index.ts'
import { at, type Db, sql, type Statement } from '../db/index.ts'
import type { Task } from './schedule.ts'

const BATCH = 5000

/** Deletes in batches of 5,000 until nothing is left, so that no lock is held for long (decisions D10). */
async function sweep(db: Db, signal: AbortSignal, statement: () => Statement): Promise<void> {
  while (!signal.aborted && (await db.engine((tx) => tx.run(statement()))) === BATCH) continue
}

/** What the kernel itself removes: ended sessions, unused tickets, forgotten login failures, old idempotency keys. */
export function retentionTasks(db: Db, clock: Clock): Task[] {
  const expired = (table: string, column: string): Task => ({
    name: `retention ${table}`,
    every: 60_000,
    run: (signal) =>
      sweep(
        db,
        signal,
        () => sql`delete from ${sql.table(table)} where ctid = any(array(
          select ctid from ${sql.table(table)} where ${sql.ref(column)} < ${at(clock.now())} limit ${BATCH}))`,
      ),
  })
  return [
    expired('sessions', 'expires_at'),
    expired('tickets', 'expires_at'),
    expired('login_failures', 'window_ends_at'),
    expired('idempotency', 'expires_at'),
    expired('memory_events', 'expires_at'),
    expired('memory_chunks', 'expires_at'),
  ]
}
