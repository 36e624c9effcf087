import type { Decision, JobState } from '../../api/wire.ts'
import { instant } from '../../ui/age.ts'
import type { Status } from '../../ui/status.tsx'

const STATES: Record<JobState, { status: Status; word: string }> = {
  PENDING: { status: 'off', word: 'Queued' },
  APPROVAL_REQUIRED: { status: 'waiting', word: 'Needs an approval' },
  SCHEDULED: { status: 'off', word: 'Scheduled' },
  DISPATCHED: { status: 'running', word: 'Sent' },
  RUNNING: { status: 'running', word: 'Running' },
  SUCCEEDED: { status: 'ok', word: 'Done' },
  FAILED: { status: 'failed', word: 'Failed' },
  CANCELLED: { status: 'off', word: 'Cancelled' },
  TIMEOUT: { status: 'failed', word: 'Timed out' },
  DENIED: { status: 'denied', word: 'Denied' },
}

export const JOB_STATES = Object.keys(STATES) as JobState[]
const TERMINAL: ReadonlySet<JobState> = new Set(['SUCCEEDED', 'FAILED', 'CANCELLED', 'TIMEOUT', 'DENIED'])

/** How a job is, in the vocabulary. */
export function jobState(state: JobState): { status: Status; word: string } {
  return STATES[state] ?? { status: 'unknown', word: state }
}

export function isTerminal(state: JobState): boolean {
  return TERMINAL.has(state)
}

const DECISIONS: Record<Decision, { status: Status; word: string }> = {
  ALLOW: { status: 'ok', word: 'Allowed' },
  ALLOW_WITH_CONSTRAINTS: { status: 'ok', word: 'Allowed, with limits' },
  REQUIRE_APPROVAL: { status: 'waiting', word: 'Asks for an approval' },
  THROTTLE: { status: 'waiting', word: 'Asks to wait' },
  DENY: { status: 'denied', word: 'Denied' },
}

/** What policy said, in the vocabulary. */
export function decisionState(decision: Decision | undefined | ''): { status: Status; word: string } {
  return decision ? DECISIONS[decision] : { status: 'unknown', word: 'Not decided yet' }
}

/** When a job was submitted: its id tells, where the server made it (UUIDv7). */
export function submittedAt(id: string): number | undefined {
  const [, head] = /^([0-9a-f]{8}-[0-9a-f]{4})-7[0-9a-f]{3}-/.exec(id) ?? []
  return head ? instant(Number.parseInt(head.replace('-', ''), 16)) : undefined
}

/** The topic without what all of ours share: `job.wh.fleet.command.run` is `fleet.command.run`. */
export function topicWords(topic: string | undefined): string {
  return (topic ?? '').replace(/^job\.(wh\.)?/, '') || 'default'
}
