import type { DecisionRecord, JobDetail, StreamFrame } from '../../api/wire.ts'
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

const frameTime = (frame: StreamFrame) => (frame.createdAt ? Date.parse(frame.createdAt) : undefined)

/** What happened to a job, newest first: submitted, every decision, the approval, its progress while the page is open, how it stands. */
export function jobTimeline(
  job: JobDetail,
  updatedAt: number | undefined,
  decisions: readonly DecisionRecord[],
  frames: readonly StreamFrame[],
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
    const at = instant(decision.checked_at)
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
  for (const [index, frame] of frames.entries()) {
    const at = frameTime(frame)
    const progress = frame.jobProgress
    if (at === undefined || !progress || progress.percent === undefined) continue
    entries.push({
      id: `progress${index}`,
      at,
      status: 'running',
      what: `${progress.percent} %`,
      ...(progress.message ? { detail: progress.message.trim() } : {}),
    })
  }
  const known = new Set(['PENDING', 'APPROVAL_REQUIRED'])
  if (updatedAt !== undefined && !known.has(job.state)) {
    const { status, word } = jobState(job.state)
    entries.push({
      id: 'state',
      at: updatedAt,
      status,
      what: word,
      ...(isTerminal(job.state) && job.error_message ? { detail: job.error_message } : {}),
    })
  }
  return entries.sort((a, b) => b.at - a.at)
}
