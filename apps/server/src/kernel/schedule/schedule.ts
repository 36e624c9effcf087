import { Cron } from 'croner'
import type { Logger } from 'pino'
import { type Clock, type Instant, pause } from '../clock/index.ts'
import { at, type Db, sql } from '../db/index.ts'

/** Work that repeats: each time by one replica, whichever claims it first. */
export interface Task {
  name: string
  /** Milliseconds between two starts, or a cron expression (five fields, UTC unless `timezone` says otherwise). */
  every: number | string
  timezone?: string
  /** Must be repeatable: after a crash in the middle it runs again at its next time. */
  run(signal: AbortSignal): Promise<void>
}

export interface Schedule {
  /** Adds a task; it first runs at its next time, or at once when that time passed while nobody ran. */
  add(task: Task): Promise<void>
  close(): Promise<void>
}

const TICK_MS = 1000

/** The instant after `from` at which the task is due. */
function dueAfter({ every, timezone }: Task, from: Instant): Instant {
  if (typeof every === 'number') return from + every
  const next = new Cron(every, { timezone: timezone ?? 'UTC' }).nextRun(new Date(from))
  if (!next) throw new Error(`The schedule "${every}" never comes`)
  return next.getTime()
}

/** Opens the clockwork of the installation. Times live in Postgres, so that they survive restarts and fire once a cluster. */
export function openSchedule({ db, clock, log }: { db: Db; clock: Clock; log: Logger }): Schedule {
  const tasks = new Map<string, Task>()
  const stopping = new AbortController()

  async function claim(task: Task): Promise<boolean> {
    const now = clock.now()
    const taken = await db.engine((tx) =>
      tx.run(sql`
        update schedule set next_at = ${at(dueAfter(task, now))}, last_started_at = ${at(now)}
         where name = ${task.name} and next_at <= ${at(now)}`),
    )
    return taken === 1
  }

  async function attempt(task: Task): Promise<void> {
    if (!(await claim(task))) return
    const failure = await task.run(stopping.signal).then(
      () => null,
      (error: unknown) => {
        if (!stopping.signal.aborted)
          log.warn({ err: error, task: task.name }, 'Scheduled work failed; it comes again at its next time')
        return String(error).slice(0, 500)
      },
    )
    await db.engine((tx) =>
      tx.run(
        sql`update schedule set last_ended_at = ${at(clock.now())}, last_error = ${failure} where name = ${task.name}`,
      ),
    )
  }

  async function tick(): Promise<void> {
    while (!stopping.signal.aborted) {
      for (const task of tasks.values()) {
        await attempt(task).catch((error: unknown) => {
          if (!stopping.signal.aborted)
            log.warn({ err: error, task: task.name }, 'Scheduled work waits for the database')
        })
      }
      await pause(TICK_MS, stopping.signal).catch(() => undefined)
    }
  }

  const running = tick()
  return {
    async add(task) {
      await db.engine((tx) =>
        tx.run(
          sql`insert into schedule (name, next_at) values (${task.name}, ${at(dueAfter(task, clock.now()))}) on conflict do nothing`,
        ),
      )
      tasks.set(task.name, task)
    },
    async close() {
      stopping.abort()
      await running
    },
  }
}
