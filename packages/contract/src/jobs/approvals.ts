import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Json } from '../schemas.ts'
import { Constraints, Decision, JobRecord, Limit, Moment, Text } from './shapes.ts'

const group = 'Approvals'
const params = Type.Object({ job_id: Id })
const body = Type.Object({ reason: Type.Optional(Text(2000)), note: Type.Optional(Text(8000)) })

/** jobs.md §9: jobs that policy holds. */
export const approvals = area({
  listApprovals: {
    method: 'GET',
    path: '/api/v1/approvals',
    group,
    summary: 'Jobs that wait for approval, newest first',
    permission: 'approval:read',
    rate: 'jobs-tenant',
    query: Type.Object({
      limit: Limit(100),
      cursor: Type.Optional(Moment),
      include_resolved: Type.Optional(Text(8)),
    }),
    reply: Type.Object({
      items: Type.Array(
        Type.Object({
          job_id: Type.String(),
          job: JobRecord,
          decision: Decision,
          policy_snapshot: Type.String(),
          policy_rule_id: Type.String(),
          policy_reason: Type.String(),
          constraints: Type.Union([Constraints, Type.Null()]),
          job_hash: Type.String(),
          approval_required: Type.Boolean(),
          approval_ref: Type.String(),
          // Beyond the document: what whoever decides must see.
          state: Type.String(),
          required: Type.Integer(),
          votes: Type.Integer(),
          requested_by: Type.String(),
          requested_at: Type.Integer(),
          expires_at: Type.Union([Type.Integer(), Type.Null()]),
          allow_self: Type.Boolean(),
          roles: Type.Array(Type.String()),
          show: Json,
        }),
      ),
      next_cursor: Type.Union([Type.Integer(), Type.Null()]),
    }),
    beyondDocument: true,
  },
  approveJob: {
    method: 'POST',
    path: '/api/v1/approvals/{job_id}/approve',
    group,
    summary: 'Votes for a held job; it runs when enough people have',
    permission: 'approval:decide',
    rate: 'jobs-tenant',
    verb: 'approval.approve',
    params,
    body,
    reply: Type.Object({ job_id: Type.String(), trace_id: Type.String() }),
    faults: ['JOB_NOT_FOUND', 'RES_CONFLICT', 'PERM_APPROVER', 'PERM_SELF_APPROVAL', 'SYS_UNAVAILABLE'],
  },
  rejectJob: {
    method: 'POST',
    path: '/api/v1/approvals/{job_id}/reject',
    group,
    summary: 'Rejects a held job; it ends as denied',
    permission: 'approval:decide',
    rate: 'jobs-tenant',
    verb: 'approval.reject',
    params,
    body,
    reply: Type.Object({ job_id: Type.String() }),
    faults: ['JOB_NOT_FOUND', 'RES_CONFLICT', 'PERM_APPROVER', 'PERM_SELF_APPROVAL'],
  },
})
