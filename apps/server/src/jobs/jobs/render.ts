import { iso } from '../../kernel/clock/index.ts'
import { jobState, stateWord } from '../../kernel/jobs/index.ts'
import {
  constraintsRecord,
  type Decision,
  decisionRecord,
  type DecisionName,
  remediationRecord,
} from '../../kernel/policy/index.ts'
import type { DecisionBody, DecisionRow, DetailRow, RecordRow } from './tables.ts'

/** Drops what the document leaves out when it is empty. */
const given = <T extends Record<string, unknown>>(record: T): { [K in keyof T]?: NonNullable<T[K]> } =>
  Object.fromEntries(
    Object.entries(record).filter(
      ([, value]) =>
        value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0),
    ),
  ) as { [K in keyof T]?: NonNullable<T[K]> }

const list = (values: readonly string[] | undefined): string[] | undefined => (values ? [...values] : undefined)

/** JobRecord of jobs.md §5.1. */
export function jobRecord(row: RecordRow) {
  const { request } = row
  const meta = request.meta ?? {}
  return {
    id: row.id,
    updated_at: row.us,
    state: stateWord('jobs', jobState(row.state, row.queueState)),
    ...given({
      trace_id: row.traceId,
      topic: request.topic,
      tenant: request.tenant,
      team: request.env?.['team_id'],
      principal: request.principalId,
      actor_id: meta.actorId,
      actor_type: meta.actorType,
      idempotency_key: meta.idempotencyKey,
      capability: meta.capability,
      pack_id: meta.packId,
      risk_tags: list(meta.riskTags),
      requires: list(meta.requires),
      attempts: row.attempts === 0 ? undefined : row.attempts,
      safety_decision: row.decision,
      safety_reason: row.reason,
      safety_rule_id: row.ruleId,
      safety_snapshot: row.snapshot,
      deadline_unix: row.deadline === null ? undefined : Math.floor(row.deadline / 1000),
    }),
  }
}

/** The record as the trace view reads it (§6, fix). */
export const traceRecord = (row: RecordRow) => ({
  ...jobRecord(row),
  job_id: row.id,
  created_at: iso(row.createdAt),
  ...given({ parent_job_id: row.parentId, error_message: row.errorMessage }),
})

function decisionOf(row: {
  decision: DecisionName
  reason: string
  ruleId: string
  snapshot: string
  body: DecisionBody | null
  jobId: string
}): Decision {
  const held = row.decision === 'REQUIRE_APPROVAL'
  return {
    decision: row.decision,
    reason: row.reason,
    ruleId: row.ruleId,
    snapshot: row.snapshot,
    ruleDigest: row.body?.ruleDigest ?? '',
    source: row.body?.source ?? '',
    constraints: row.body?.constraints ?? null,
    approvalRequired: held,
    approvalRef: held ? row.jobId : '',
    approval: row.body?.approval ?? null,
    remediations: row.body?.remediations ?? [],
  }
}

/** SafetyDecisionRecord of §5.1. */
export const decisionItem = (jobId: string, row: DecisionRow) => ({
  ...decisionRecord(decisionOf({ ...row, jobId }), {
    ...(row.jobHash === null ? {} : { jobHash: row.jobHash }),
    checkedAtUs: row.at * 1000,
  }),
  principal_id: row.principalUuid,
  on_behalf_of: row.onBehalfOf ?? [],
})

export interface ApprovalFacts {
  by: string
  role: string
  at: number
  reason: string
  note: string
  snapshot: string
  hash: string
}

/** `GET /jobs/{id}` of §5. `result` is what stands behind the result pointer, where it is JSON of ours. */
export function jobDetail(row: DetailRow, result: unknown, approval: ApprovalFacts | undefined) {
  const { request, decisionBody } = row
  const meta = request.meta ?? {}
  const labels = request.labels ?? {}
  // A job that ended without success has a document there that says so (§26).
  const own = row.result !== null || (row.state !== 'open' && row.state !== 'succeeded')
  const resultPtr = row.resultPtr ?? (own ? `redis://res:${row.id}` : '')
  const failed = row.letterStatus !== null || row.errorMessage !== null
  const held = row.decision === 'REQUIRE_APPROVAL'
  return {
    id: row.id,
    state: stateWord('jobs', jobState(row.state, row.queueState)),
    trace_id: row.traceId,
    context_ptr: request.contextPtr ?? '',
    context: parsed(row.context),
    result_ptr: resultPtr,
    result,
    topic: request.topic,
    tenant: request.tenant,
    actor_id: meta.actorId ?? '',
    actor_type: meta.actorType ?? '',
    idempotency_key: meta.idempotencyKey ?? '',
    capability: meta.capability ?? '',
    pack_id: meta.packId ?? '',
    risk_tags: [...(meta.riskTags ?? [])],
    requires: [...(meta.requires ?? [])],
    attempts: row.letterAttempts ? row.letterAttempts : row.attempts,
    safety_decision: row.decision ?? '',
    safety_reason: row.reason ?? '',
    safety_rule_id: row.ruleId ?? '',
    safety_snapshot: row.snapshot ?? '',
    safety_constraints: decisionBody?.constraints ? constraintsRecord(decisionBody.constraints) : null,
    safety_remediations: (decisionBody?.remediations ?? []).map(remediationRecord),
    safety_job_hash: row.jobHash ?? '',
    approval_required: held,
    approval_ref: held ? row.id : '',
    labels,
    workflow_id: request.workflowId ?? labels['workflow_id'] ?? '',
    run_id: labels['run_id'] ?? '',
    step_id: labels['step_id'] ?? '',
    ...(failed
      ? given({
          error_message: row.letterReason ?? row.errorMessage,
          error_status: row.letterStatus,
          error_code: row.letterCode ?? row.errorCode,
          last_state: row.lastState,
        })
      : {}),
    ...(approval
      ? given({
          approval_by: approval.by,
          approval_role: approval.role,
          approval_at: approval.at * 1000,
          approval_reason: approval.reason,
          approval_note: approval.note,
          approval_policy_snapshot: approval.snapshot,
          approval_job_hash: approval.hash,
        })
      : {}),
    ...given({
      principal: request.principalId,
      principal_id: row.principalUuid,
      on_behalf_of: row.onBehalfOf ?? [],
      worker_id: row.workerId,
      created_at: iso(row.createdAt),
      started_at: row.startedAt === null ? undefined : iso(row.startedAt),
      completed_at: row.endedAt === null ? undefined : iso(row.endedAt),
    }),
  }
}

/** Text as the JSON that it is, else null (§5). */
export function parsed(text: string | null): unknown {
  if (text === null) return null
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
