import type { JobState } from './jobs.ts'

/** Words of unification.md §5, one column a surface. */
export interface SurfaceWords {
  jobs:
    | 'PENDING'
    | 'APPROVAL_REQUIRED'
    | 'SCHEDULED'
    | 'DISPATCHED'
    | 'RUNNING'
    | 'SUCCEEDED'
    | 'FAILED'
    | 'CANCELLED'
    | 'TIMEOUT'
    | 'DENIED'
  fleetCommand: 'PENDING' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMEOUT'
  fleetTask: 'PENDING' | 'RUNNING' | 'SUCCESS' | 'FAILED' | 'SKIPPED' | 'TIMED_OUT'
  /** null: the task does not exist yet, or never will. */
  agentTask: 'assigned' | 'acknowledged' | 'completed' | 'failed' | 'cancelled' | 'expired' | null
}

const WORDS: Readonly<Record<JobState, SurfaceWords>> = {
  pending: { jobs: 'PENDING', fleetCommand: 'PENDING', fleetTask: 'PENDING', agentTask: null },
  held: { jobs: 'APPROVAL_REQUIRED', fleetCommand: 'PENDING', fleetTask: 'PENDING', agentTask: null },
  scheduled: { jobs: 'SCHEDULED', fleetCommand: 'PENDING', fleetTask: 'PENDING', agentTask: null },
  dispatched: { jobs: 'DISPATCHED', fleetCommand: 'RUNNING', fleetTask: 'RUNNING', agentTask: 'assigned' },
  running: { jobs: 'RUNNING', fleetCommand: 'RUNNING', fleetTask: 'RUNNING', agentTask: 'acknowledged' },
  succeeded: { jobs: 'SUCCEEDED', fleetCommand: 'SUCCEEDED', fleetTask: 'SUCCESS', agentTask: 'completed' },
  failed: { jobs: 'FAILED', fleetCommand: 'FAILED', fleetTask: 'FAILED', agentTask: 'failed' },
  cancelled: { jobs: 'CANCELLED', fleetCommand: 'FAILED', fleetTask: 'SKIPPED', agentTask: 'cancelled' },
  denied: { jobs: 'DENIED', fleetCommand: 'FAILED', fleetTask: 'SKIPPED', agentTask: null },
  timed_out: { jobs: 'TIMEOUT', fleetCommand: 'TIMEOUT', fleetTask: 'TIMED_OUT', agentTask: 'expired' },
}

/** How a surface calls a state (unification.md §5). */
export const stateWord = <S extends keyof SurfaceWords>(surface: S, state: JobState): SurfaceWords[S] =>
  WORDS[state][surface]

/** The states that a surface calls by one word, without regard to case; empty when it knows no such word. */
export const statesOf = (surface: keyof SurfaceWords, word: string): JobState[] =>
  (Object.keys(WORDS) as JobState[]).filter((state) => WORDS[state][surface] === word.toUpperCase())

/** States of a queue row. A job without one has ended. */
export type QueueState = 'ready' | 'waiting' | 'undecided' | 'held' | 'leased' | 'cancelling' | 'paused' | 'blocked'

/** The one rule by which a job's state is told from its two rows. */
export function jobState(recorded: string, queue: QueueState | null): JobState {
  if (recorded !== 'open') return recorded as JobState
  switch (queue) {
    case 'held':
      return 'held'
    case 'leased':
      return 'running'
    default:
      return 'pending'
  }
}

/** The status name that dead letters and CAP results carry. */
export const wireStatus = (state: JobState): string => {
  const word = stateWord('jobs', state)
  return `JOB_STATUS_${word === 'APPROVAL_REQUIRED' ? 'PENDING' : word}`
}
