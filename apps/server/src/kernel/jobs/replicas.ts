import type { Bus, Listening } from '../bus/index.ts'
import type { TerminalState } from './jobs.ts'
import type { WorkerFacts } from './worker-facts.ts'

/** An attempt that has ended, as the replica hears of it that sent it out. */
export interface Gone {
  tenantId: string
  id: string
  state: TerminalState
  at: number
  retry: boolean
}

/** What replicas tell each other of jobs and workers, by subject of the platform's own account. What is lost there, a sweep makes up for. */
interface Notices {
  /** A worker's heartbeat. */
  'wh.worker': { tenantId: string; account: string; facts: WorkerFacts }
  /** Workers that were cut off. */
  'wh.workers-gone': { tenantId: string; workerIds: readonly string[] }
  /** A job has ended otherwise: whoever works on it stops. */
  'wh.stop': { tenantId: string; jobId: string }
  /** Attempts whose result another replica took. */
  'wh.ended': readonly Gone[]
}

export interface Replicas {
  tell<S extends keyof Notices>(subject: S, notice: Notices[S]): void
  /** What the others say, not what this one does. */
  hear<S extends keyof Notices>(subject: S, listener: (notice: Notices[S]) => void): Listening
}

interface Frame<S extends keyof Notices> {
  from: string
  notice: Notices[S]
}

/** @param self of this replica alone. */
export function openReplicas(bus: Bus, self: string): Replicas {
  return {
    tell<S extends keyof Notices>(subject: S, notice: Notices[S]) {
      bus.publish(subject, Buffer.from(JSON.stringify({ from: self, notice } satisfies Frame<S>)))
    },
    hear: <S extends keyof Notices>(subject: S, listener: (notice: Notices[S]) => void) =>
      bus.subscribe(subject, {}, ({ data }) => {
        const { from, notice } = JSON.parse(Buffer.from(data).toString()) as Frame<S>
        if (from !== self) listener(notice)
      }),
  }
}
