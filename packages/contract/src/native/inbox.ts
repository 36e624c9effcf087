import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Json, Nullable, OneOf, Timestamp } from '../schemas.ts'

const group = 'Inbox'
const params = Type.Object({ id: Id })

/** Whatever waits for people, of every domain, in one form (product.md, One inbox). */
export const InboxItem = Type.Object({
  id: Id,
  kind: OneOf(['job', 'step', 'promotion', 'admin']),
  state: OneOf(['open', 'approved', 'rejected', 'expired', 'withdrawn']),
  title: Type.String({ description: 'What is asked for, in a few words: a topic, or workflow and step' }),
  /** Of exactly what would be done: send it back with the vote. */
  hash: Type.String(),
  ruleId: Type.String(),
  reason: Type.String(),
  snapshot: Type.String(),
  required: Type.Integer(),
  votes: Type.Integer(),
  roles: Type.Array(Type.String(), { description: 'Who may decide; empty: whoever holds approval:decide' }),
  allowSelf: Type.Boolean(),
  requestedBy: Type.String(),
  createdAt: Timestamp,
  expiresAt: Nullable(Timestamp),
  decidedAt: Nullable(Timestamp),
  /** What whoever decides must see; secrets are masked. */
  show: Json,
  jobId: Nullable(Type.String()),
  runId: Nullable(Type.String()),
  workflowId: Nullable(Type.String()),
  stepId: Nullable(Type.String()),
  riskTags: Type.Array(Type.String()),
})
export type InboxItem = Static<typeof InboxItem>

const vote = {
  hash: Type.String({ maxLength: 200, description: 'What was shown. Another hash now: nothing is decided' }),
  reason: Type.Optional(Type.String({ maxLength: 2000 })),
  note: Type.Optional(Type.String({ maxLength: 8000 })),
}

const decide = {
  method: 'POST',
  group,
  permission: 'approval:decide',
  rate: 'native',
  transaction: 'none',
  status: 200,
  params,
  reply: Type.Object({ id: Id, state: Type.String(), votes: Type.Integer(), required: Type.Integer() }),
  faults: ['RES_NOT_FOUND', 'RES_CONFLICT', 'PERM_APPROVER', 'PERM_SELF_APPROVAL'],
} as const

export const inbox = area({
  listInbox: {
    method: 'GET',
    path: '/wheelhouse/api/v1/inbox',
    group,
    summary: 'What waits for a decision in every domain, newest first; with a filter on `state` also what is decided',
    permission: 'approval:read',
    rate: 'native',
    list: {
      fields: {
        kind: { type: 'text', filter: true },
        state: { type: 'text', filter: true },
        ruleId: { type: 'text', filter: true },
        hash: { type: 'text', filter: true },
        createdAt: { type: 'time', sort: true, filter: true },
        expiresAt: { type: 'time', filter: true, nullable: true },
      },
      default: '-createdAt',
    },
    reply: InboxItem,
  },
  getInboxItem: {
    method: 'GET',
    path: '/wheelhouse/api/v1/inbox/{id}',
    group,
    summary: 'One request with its votes',
    permission: 'approval:read',
    rate: 'native',
    params,
    reply: Type.Object({
      ...InboxItem.properties,
      cast: Type.Array(
        Type.Object({
          by: Type.String(),
          role: Type.String(),
          vote: OneOf(['approve', 'reject']),
          reason: Type.String(),
          note: Type.String(),
          at: Timestamp,
        }),
      ),
    }),
    faults: ['RES_NOT_FOUND'],
  },
  approve: {
    ...decide,
    path: '/wheelhouse/api/v1/inbox/{id}/approve',
    summary: 'Votes for exactly what was shown, with the value that a form asks for',
    verb: 'approval.approve',
    verbatim: ['value'],
    body: Type.Object({ ...vote, value: Type.Optional(Json) }),
  },
  reject: {
    ...decide,
    path: '/wheelhouse/api/v1/inbox/{id}/reject',
    summary: 'Refuses it; whoever asked reads the reason',
    verb: 'approval.reject',
    body: Type.Object(vote),
  },
})
