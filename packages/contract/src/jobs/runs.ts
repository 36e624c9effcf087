import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Json, Labels, Nullable, OneOf, Timestamp } from '../schemas.ts'
import { Limit, Moment, Text } from './shapes.ts'

const group = 'Runs'
const params = Type.Object({ id: Id })
const started = Type.Object({ run_id: Type.String() })

export const RUN_STATUSES = ['pending', 'running', 'waiting', 'succeeded', 'failed', 'cancelled', 'timed_out'] as const

/** jobs.md §8: one vocabulary for runs and steps. */
export const RunStatus = OneOf(RUN_STATUSES)

const StepError = Type.Object({ message: Type.String(), code: Type.Optional(Type.String()) })

const stepMembers = {
  step_id: Type.String(),
  status: RunStatus,
  started_at: Type.Optional(Timestamp),
  completed_at: Type.Optional(Timestamp),
  next_attempt_at: Type.Optional(Timestamp),
  attempts: Type.Optional(Type.Integer()),
  input: Type.Optional(Json),
  output: Type.Optional(Json),
  error: Type.Optional(StepError),
  job_id: Type.Optional(Type.String()),
  item: Type.Optional(Json),
  // Beyond the document: what the console shows.
  index: Type.Optional(Type.Integer()),
  result_ptr: Type.Optional(Type.String()),
  /** It did not run: its status is `succeeded`, as the document has it (§21.2), or `cancelled` where the run ended before. */
  skipped: Type.Optional(Type.Boolean()),
  skip_reason: Type.Optional(Type.String()),
  /** It waits for its next attempt. */
  retrying: Type.Optional(Type.Boolean()),
  child_run_id: Type.Optional(Type.String()),
  approval_id: Type.Optional(Type.String()),
}

export const ChildStepRun = Type.Object(stepMembers)

export const ChildCounts = Type.Object({
  total: Type.Integer(),
  begun: Type.Integer(),
  succeeded: Type.Integer(),
  failed: Type.Integer(),
})

/** At most 100 children stand in the run itself; the rest is read by pages. */
export const StepRun = Type.Object({
  ...stepMembers,
  children: Type.Optional(Type.Record(Type.String(), ChildStepRun)),
  children_counts: Type.Optional(ChildCounts),
})

const AnyObject = Type.Record(Type.String(), Json)

export const WorkflowRun = Type.Object({
  id: Type.String(),
  workflow_id: Type.String(),
  org_id: Type.String(),
  team_id: Type.String(),
  input: Nullable(AnyObject),
  context: Nullable(AnyObject),
  status: RunStatus,
  started_at: Nullable(Timestamp),
  completed_at: Nullable(Timestamp),
  output: Nullable(AnyObject),
  error: Nullable(AnyObject),
  steps: Nullable(Type.Record(Type.String(), StepRun)),
  total_cost: Type.Number(),
  triggered_by: Type.String(),
  created_at: Timestamp,
  updated_at: Timestamp,
  labels: Type.Optional(Labels),
  metadata: Type.Optional(Labels),
  idempotency_key: Type.Optional(Type.String()),
  rerun_of: Type.Optional(Type.String()),
  rerun_step: Type.Optional(Type.String()),
  dry_run: Type.Optional(Type.Boolean()),
  timers: Type.Optional(
    Type.Array(
      Type.Object({
        workflow_id: Type.String(),
        run_id: Type.String(),
        step_id: Type.Optional(Type.String()),
        purpose: Type.Optional(Type.String()),
        fires_at: Timestamp,
        remaining_ms: Type.Integer(),
      }),
    ),
  ),
  // Beyond the document.
  revision: Type.Optional(Type.Integer({ description: 'Of the definition that it runs' })),
  parent_run_id: Type.Optional(Type.String()),
  parent_step: Type.Optional(Type.String()),
})

/** jobs.md §21.8. */
export const TimelineEvent = Type.Object({
  time: Timestamp,
  type: Type.String(),
  run_id: Type.Optional(Type.String()),
  workflow_id: Type.Optional(Type.String()),
  step_id: Type.Optional(Type.String()),
  job_id: Type.Optional(Type.String()),
  status: Type.Optional(Type.String()),
  result_ptr: Type.Optional(Type.String()),
  message: Type.Optional(Type.String()),
  data: Type.Optional(AnyObject),
  seq: Type.Optional(Type.Integer()),
})

export const ChatMessage = Type.Object({
  id: Type.String(),
  run_id: Type.String(),
  role: OneOf(['user', 'agent', 'system']),
  content: Type.String(),
  step_id: Type.Optional(Type.String()),
  job_id: Type.Optional(Type.String()),
  agent_id: Type.Optional(Type.String()),
  agent_name: Type.Optional(Type.String()),
  created_at: Timestamp,
  metadata: Type.Optional(AnyObject),
})

export type WorkflowRun = Static<typeof WorkflowRun>
export type StepRun = Static<typeof StepRun>
export type ChildStepRun = Static<typeof ChildStepRun>
export type TimelineEvent = Static<typeof TimelineEvent>
export type ChatMessage = Static<typeof ChatMessage>

export const runs = area({
  startRun: {
    method: 'POST',
    path: '/api/v1/workflows/{id}/runs',
    group,
    summary: 'Starts a run, or with `dry_run` shows what it would do; the body is its input',
    permission: 'workflow:execute',
    verb: 'run.start',
    rate: 'jobs-tenant',
    transaction: 'none',
    idempotency: 'own',
    verbatim: ['*'],
    params,
    query: Type.Object({
      org_id: Type.Optional(Text(128)),
      team_id: Type.Optional(Text(128)),
      dry_run: Type.Optional(Text(8)),
      idempotency_key: Type.Optional(Text(256)),
      'idempotency-key': Type.Optional(Text(256)),
    }),
    body: AnyObject,
    reply: started,
    faults: ['RES_NOT_FOUND', 'PERM_TENANT', 'RES_IDEMPOTENCY_CONFLICT', 'RUN_LIMIT', 'WORKFLOW_INVALID'],
  },
  listRunsOfWorkflow: {
    method: 'GET',
    path: '/api/v1/workflows/{id}/runs',
    group,
    summary: 'The latest runs of one workflow, also of one that was removed',
    permission: 'run:read',
    rate: 'jobs-tenant',
    params,
    query: Type.Object({ limit: Type.Optional(Limit(100)) }),
    reply: Type.Array(WorkflowRun),
    faults: ['RES_NOT_FOUND'],
  },
  listRuns: {
    method: 'GET',
    path: '/api/v1/workflow-runs',
    group,
    summary: 'Runs of the tenant, the most recently changed first',
    permission: 'run:read',
    rate: 'jobs-tenant',
    query: Type.Object({
      limit: Limit(50),
      cursor: Type.Optional(Moment),
      status: Type.Optional(Text(32)),
      workflow_id: Type.Optional(Text(128)),
      org_id: Type.Optional(Text(128)),
      team_id: Type.Optional(Text(128)),
      updated_after: Type.Optional(Moment),
      updated_before: Type.Optional(Moment),
    }),
    reply: Type.Object({ items: Type.Array(WorkflowRun), next_cursor: Nullable(Type.Integer()) }),
    faults: ['PERM_TENANT'],
  },
  getRun: {
    method: 'GET',
    path: '/api/v1/workflow-runs/{id}',
    group,
    summary: 'One run with its steps',
    permission: 'run:read',
    rate: 'jobs-tenant',
    params,
    reply: WorkflowRun,
    faults: ['RES_NOT_FOUND'],
  },
  getRunTimeline: {
    method: 'GET',
    path: '/api/v1/workflow-runs/{id}/timeline',
    group,
    summary: 'What happened in a run: the newest events, in the order of their time',
    permission: 'run:read',
    rate: 'jobs-tenant',
    params,
    query: Type.Object({ limit: Limit(200) }),
    reply: Type.Array(TimelineEvent),
  },
  getRunChat: {
    method: 'GET',
    path: '/api/v1/workflow-runs/{id}/chat',
    group,
    summary: 'Messages attached to a run, newest first',
    permission: 'run:read',
    rate: 'jobs-tenant',
    params,
    query: Type.Object({ limit: Limit(100), cursor: Type.Optional(Type.Integer({ minimum: 0 })) }),
    reply: Type.Object({ items: Type.Array(ChatMessage), next_cursor: Type.Optional(Nullable(Type.Integer())) }),
    faults: ['RES_NOT_FOUND'],
  },
  postRunChat: {
    method: 'POST',
    path: '/api/v1/workflow-runs/{id}/chat',
    group,
    summary: 'Adds a message to a run and shows it to whoever watches',
    permission: 'workflow:chat',
    verb: 'run.chat',
    rate: 'jobs-tenant',
    params,
    body: Type.Object({
      content: Type.Optional(Text(65_536)),
      role: Type.Optional(Text(32)),
      step_id: Type.Optional(Text(256)),
      job_id: Type.Optional(Text(256)),
      agent_id: Type.Optional(Text(256)),
      agent_name: Type.Optional(Text(256)),
      metadata: Type.Optional(AnyObject),
    }),
    reply: ChatMessage,
    status: 200,
    faults: ['RES_NOT_FOUND'],
  },
  rerunRun: {
    method: 'POST',
    path: '/api/v1/workflow-runs/{id}/rerun',
    group,
    summary:
      'Runs it again: the whole, or from one step with what went before it; with another input where one is given',
    permission: 'workflow:execute',
    verb: 'run.rerun',
    rate: 'jobs-tenant',
    transaction: 'none',
    verbatim: ['input'],
    params,
    body: Type.Object({
      from_step: Type.Optional(Text(256)),
      dry_run: Type.Optional(Type.Boolean()),
      // Beyond the document.
      input: Type.Optional(AnyObject),
    }),
    reply: started,
    faults: ['RES_NOT_FOUND', 'RUN_LIMIT', 'WORKFLOW_INVALID'],
  },
  deleteRun: {
    method: 'DELETE',
    path: '/api/v1/workflow-runs/{id}',
    group,
    summary: 'Removes a run with its steps and timeline; what it still does is cancelled',
    permission: 'run:delete',
    rate: 'jobs-tenant',
    params,
    status: 204,
    reply: Type.Null(),
    faults: ['RES_NOT_FOUND'],
  },
  cancelRun: {
    method: 'POST',
    path: '/api/v1/workflows/{id}/runs/{run_id}/cancel',
    group,
    summary: 'Cancels a run and the jobs of its steps; one that has ended stays as it is',
    permission: 'workflow:cancel',
    verb: 'run.cancel',
    rate: 'jobs-tenant',
    transaction: 'none',
    params: Type.Object({ id: Id, run_id: Id }),
    status: 204,
    reply: Type.Null(),
    faults: ['VAL_SCHEMA', 'RES_CONFLICT'],
    beyondDocument: true,
  },
  approveStep: {
    method: 'POST',
    path: '/api/v1/workflows/{id}/runs/{run_id}/steps/{step_id}/approve',
    group: 'Approvals',
    summary: 'Votes for a waiting step, or rejects it; with the value that it asks for',
    permission: 'approval:decide',
    verb: 'run.decide',
    rate: 'jobs-tenant',
    transaction: 'none',
    verbatim: ['value'],
    params: Type.Object({ id: Id, run_id: Id, step_id: Type.String({ minLength: 1, maxLength: 256 }) }),
    body: Type.Object({
      approved: Type.Boolean(),
      // Beyond the document.
      reason: Type.Optional(Text(2000)),
      note: Type.Optional(Text(8000)),
      value: Type.Optional(Json),
    }),
    status: 204,
    reply: Type.Null(),
    faults: ['VAL_SCHEMA', 'RES_CONFLICT', 'PERM_APPROVER', 'PERM_SELF_APPROVAL'],
    beyondDocument: true,
  },
})
