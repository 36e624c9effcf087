import type { InboxItem } from '@wheelhouse/contract/native/inbox'
import { iso, type Instant } from '../../kernel/clock/index.ts'
import { sql } from '../../kernel/db/index.ts'

export interface Row {
  id: string
  kind: InboxItem['kind']
  state: InboxItem['state']
  refId: string
  hash: string
  ruleId: string
  reason: string
  snapshot: string
  required: number
  votes: number
  roles: string[]
  allowSelf: boolean
  requestedBy: string
  createdAt: Instant
  expiresAt: Instant | null
  decidedAt: Instant | null
  show: unknown
  topic: string | null
  riskTags: string[] | null
}

/** The page is chosen from `approvals` alone; what stands elsewhere is looked up for its rows. */
export const columns = sql`id, kind, state, ref_id as "refId", hash, rule_id as "ruleId", reason, snapshot, required, roles, allow_self as "allowSelf",
  requested_name as "requestedBy", created_at as "createdAt", expires_at as "expiresAt", decided_at as "decidedAt", show,
  (select count(*)::int from approval_votes v
    where v.tenant_id = approvals.tenant_id and v.approval_id = approvals.id and v.stage = approvals.stage and v.vote = 'approve') as votes,
  (select j.topic from jobs j where j.tenant_id = approvals.tenant_id and j.id = approvals.ref_id and approvals.kind = 'job') as topic,
  (select j.request #> '{meta,riskTags}' from jobs j
    where j.tenant_id = approvals.tenant_id and j.id = approvals.ref_id and approvals.kind = 'job') as "riskTags"`

const text = (show: unknown, member: string): string | null => {
  const value = typeof show === 'object' && show !== null ? (show as Record<string, unknown>)[member] : undefined
  return typeof value === 'string' ? value : null
}

export function shown(row: Row): InboxItem {
  const step = row.kind === 'step'
  const stepId = step ? text(row.show, 'stepId') : null
  const workflowId = step ? text(row.show, 'workflowId') : null
  return {
    id: row.id,
    kind: row.kind,
    state: row.state,
    title: step ? `${workflowId ?? ''}: ${text(row.show, 'stepName') ?? stepId ?? ''}` : (row.topic ?? row.refId),
    hash: row.hash,
    ruleId: row.ruleId,
    reason: row.reason,
    snapshot: row.snapshot,
    required: row.required,
    votes: row.votes,
    roles: row.roles,
    allowSelf: row.allowSelf,
    requestedBy: row.requestedBy,
    createdAt: iso(row.createdAt),
    expiresAt: row.expiresAt === null ? null : iso(row.expiresAt),
    decidedAt: row.decidedAt === null ? null : iso(row.decidedAt),
    show: row.show,
    jobId: row.kind === 'job' ? row.refId : null,
    runId: step ? text(row.show, 'runId') : null,
    workflowId,
    stepId,
    riskTags: row.riskTags ?? [],
  }
}
