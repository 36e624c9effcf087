import type { Logger } from 'pino'
import { type Db, sql } from '../db/index.ts'

/** First of the two numbers of our advisory locks; the second is the replica's own. */
const LOCK_SPACE = 0x6a6f6273

/** Says to the other replicas, through the database alone, that this one lives. */
export interface Liveness {
  /** Which of these owners are gone, as seen twice in a row. */
  dead(owners: readonly number[]): Promise<number[]>
  close(): Promise<void>
}

/** Holds an advisory lock on a connection of its own, so that the death of this process is seen at once, whatever its leases say. */
export async function openLiveness(db: Db, log: Logger, owner: number): Promise<Liveness> {
  let held: Awaited<ReturnType<Db['dedicated']>> | undefined
  let closed = false
  let timer: NodeJS.Timeout | undefined
  let suspects = new Set<number>()

  /** One at a time: who is tried again by its end and by its failure would be two from then on, and four after the next loss. */
  async function hold(): Promise<void> {
    const mine = await db.dedicated()
    let ended = false
    mine.client.once('end', () => {
      ended = true
      if (held !== mine) return
      held = undefined
      if (!closed) timer = setTimeout(again, 500)
    })
    try {
      await mine.client.query('select pg_advisory_lock($1, $2)', [LOCK_SPACE, owner])
      if (ended) throw new Error('The connection ended as its lock was taken')
    } catch (error) {
      await mine.release().catch(() => undefined)
      throw error
    }
    held = mine
    if (closed) await mine.release()
  }
  function lost(error: unknown): void {
    log.warn({ err: error }, 'The lock that shows this replica alive could not be taken; it is tried again')
    if (!closed) timer = setTimeout(again, 500)
  }
  function again(): void {
    hold().catch(lost)
  }

  await hold()
  return {
    async dead(owners) {
      const free = new Set<number>()
      for (const each of owners) {
        const taken = await db.engine((tx) =>
          tx.one<{ free: boolean }>(sql`select pg_try_advisory_xact_lock(${LOCK_SPACE}, ${each}::int) as free`),
        )
        if (taken.free) free.add(each)
      }
      const twice = [...free].filter((each) => suspects.has(each))
      suspects = free
      return twice
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await held?.release()
    },
  }
}
