import type { StateEvent } from '@wheelhouse/contract/native/job-output'
import type { DecisionRecord, JobDetail } from '../../api/wire.ts'
import { instant } from '../../ui/age.ts'
import type { Status } from '../../ui/status.tsx'
import { decisionState, isTerminal, jobState, submittedAt } from './job-state.ts'

export interface TimelineEntry {
  id: string
  at: number
  status: Status
  /** What happened, then the detail of it. */
  what: string
  detail?: string
  rule?: string
}

/** What happened to a job, newest first: submitted, every decision, the approval, every state it went through, how it stands. */
export function jobTimeline(
  job: JobDetail,
  updatedAt: number | undefined,
  decisions: readonly DecisionRecord[],
  states: readonly StateEvent[],
): TimelineEntry[] {
  const entries: TimelineEntry[] = []
  const submitted = submittedAt(job.id)
  if (submitted !== undefined) {
    entries.push({
      id: 'submitted',
      at: submitted,
      status: 'ok',
      what: 'Submitted',
      ...(job.actor_id ? { detail: `by ${job.actor_id}` } : {}),
    })
  }
  for (const [index, decision] of decisions.entries()) {
    const checkedAt = instant(decision.checked_at)
    // Both are of the same instant, by two clocks' roundings: nothing is decided before it is asked.
    const at = checkedAt === undefined ? undefined : Math.max(checkedAt, (submitted ?? 0) + 1)
    const { status, word } = decisionState(decision.decision)
    if (at === undefined) continue
    entries.push({
      id: `decision${index}`,
      at,
      status,
      what: word,
      ...(decision.reason ? { detail: decision.reason } : {}),
      ...(decision.rule_id ? { rule: decision.rule_id } : {}),
    })
  }
  const approvedAt = instant(job.approval_at)
  if (approvedAt !== undefined) {
    const rejected = job.state === 'DENIED'
    entries.push({
      id: 'approval',
      at: approvedAt,
      status: rejected ? 'denied' : 'ok',
      what: rejected ? 'Rejected' : 'Approved',
      detail: [
        job.approval_by && `by ${job.approval_by}`,
        job.approval_role && `as ${job.approval_role}`,
        job.approval_reason && `“${job.approval_reason}”`,
      ]
        .filter(Boolean)
        .join(' '),
    })
  }
  // What is said better above, or by the decision, is not said twice.
  const told = new Set<string>(['PENDING', 'APPROVAL_REQUIRED'])
  for (const event of states) {
    if (told.has(event.state)) continue
    told.add(event.state)
    const { status, word } = jobState(event.state)
    const detail = isTerminal(event.state) ? (job.error_message ?? event.reason) : undefined
    entries.push({
      id: `state:${event.state}`,
      at: Date.parse(event.at),
      status,
      what: word,
      ...(detail ? { detail } : {}),
    })
  }
  if (updatedAt !== undefined && !told.has(job.state)) {
    const { status, word } = jobState(job.state)
    const detail = isTerminal(job.state) ? job.error_message : undefined
    entries.push({ id: 'state', at: updatedAt, status, what: word, ...(detail ? { detail } : {}) })
  }
  return entries.sort((a, b) => b.at - a.at)
}
