import type { Artifacts } from '../artifacts/index.ts'
import type { Instant } from '../clock/index.ts'
import type { Tx } from '../db/index.ts'
import type { Waiting } from './run-rows.ts'
import type { Effect, RunEvent } from './state.ts'
import { jobEnds } from './step-result.ts'

/** What entries of a run's inbox say, in the words of the engine: what happened, and what a turn before left to be done. */
export async function eventsOf(
  tx: Tx,
  artifacts: Artifacts,
  inbox: readonly Waiting[],
  now: Instant,
): Promise<{ events: RunEvent[]; effects: Effect[] }> {
  const ended = await jobEnds(
    tx,
    artifacts,
    inbox.flatMap(({ kind, step, jobId }) => (kind === 'job-ended' && jobId !== null ? [{ step, jobId }] : [])),
    now,
  )
  const byJob = new Map(ended.map((event) => [event.jobId, event]))
  const effects: Effect[] = []
  const events = inbox.flatMap(({ kind, step, jobId, body }): RunEvent[] => {
    switch (kind) {
      case 'job-ended': {
        const event = jobId === null ? undefined : byJob.get(jobId)
        return event ? [event] : []
      }
      case 'begin':
        effects.push({ kind: 'begin-children', step, count: (body as { count: number }).count })
        return []
      case 'start':
        return [{ kind: 'start' }]
      case 'cancel':
        return [{ kind: 'cancel', reason: (body as { reason: string }).reason }]
      default:
        return [{ ...(body as object), kind, step } as RunEvent]
    }
  })
  return { events, effects }
}
