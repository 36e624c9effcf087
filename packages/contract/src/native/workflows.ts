import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { ChildCounts, ChildStepRun, RUN_STATUSES, RunStatus, TimelineEvent } from '../jobs/runs.ts'
import { VERBATIM, Workflow, WorkflowBody } from '../jobs/workflows.ts'
import { Id, Json, Nullable, OneOf, Timestamp } from '../schemas.ts'
import { Why } from './why.ts'

const group = 'Workflows'
const Text = Type.String({ minLength: 1, maxLength: 256 })

/** One thing that is wrong with a definition, and where: `steps.build.condition`. */
export const Problem = Type.Object({ path: Type.String(), code: Type.String(), message: Type.String() })

/** The plan as an editor draws it. */
export const PlanShape = Type.Object({
  nodes: Type.Array(
    Type.Object({
      id: Type.String(),
      name: Type.String(),
      kind: OneOf([
        'job',
        'approval',
        'form',
        'condition',
        'switch',
        'delay',
        'notify',
        'transform',
        'fork',
        'run',
        'fail',
      ]),
      topic: Type.Optional(Type.String()),
      /** Column: those of one layer may run together. */
      layer: Type.Integer(),
      each: Type.Boolean(),
      loop: Type.Boolean(),
    }),
  ),
  edges: Type.Array(
    Type.Object({
      from: Type.String(),
      to: Type.String(),
      on: OneOf(['success', 'failure', 'always']),
      condition: Type.Optional(Type.String()),
    }),
  ),
  layers: Type.Array(Type.Array(Type.String())),
})

/** Event `run` (and the last one, `end`): where the run is, and which steps have just changed. */
export const RunEvent = Type.Object({
  run_id: Type.String(),
  workflow_id: Type.String(),
  status: RunStatus,
  at: Timestamp,
  steps: Type.Array(
    Type.Object({
      step_id: Type.String(),
      status: RunStatus,
      attempts: Type.Integer(),
      skipped: Type.Boolean(),
      children_counts: Type.Optional(ChildCounts),
    }),
  ),
})

/** What the console needs of workflows and runs beside the documented calls. */
export const workflows = area({
  validateWorkflow: {
    method: 'POST',
    path: '/wheelhouse/api/v1/workflows/validate',
    group,
    summary: 'What is wrong with a definition, and its plan when nothing is; saves nothing',
    permission: 'workflow:read',
    verb: null,
    rate: 'native',
    status: 200,
    verbatim: VERBATIM,
    body: WorkflowBody,
    reply: Type.Object({ problems: Type.Array(Problem), plan: Nullable(PlanShape) }),
  },
  workflowPlan: {
    method: 'GET',
    path: '/wheelhouse/api/v1/workflows/{id}/plan',
    group,
    summary: 'The plan of a workflow, or of one of its revisions',
    permission: 'workflow:read',
    rate: 'native',
    params: Type.Object({ id: Id }),
    query: Type.Object({ revision: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_147_483_647 })) }),
    reply: PlanShape,
    faults: ['RES_NOT_FOUND'],
  },
  listWorkflowVersions: {
    method: 'GET',
    path: '/wheelhouse/api/v1/workflows/{id}/versions',
    group,
    summary: 'Every saved form of a workflow, the newest first',
    permission: 'workflow:read',
    rate: 'native',
    params: Type.Object({ id: Id }),
    list: {
      fields: {
        revision: { type: 'number', sort: true, filter: true },
        savedAt: { type: 'time', sort: true, filter: true },
      },
      default: '-revision',
    },
    reply: Type.Object({
      id: Type.String(),
      revision: Type.Integer(),
      version: Type.String(),
      savedAt: Timestamp,
      savedBy: Type.String(),
      digest: Type.String(),
    }),
  },
  getWorkflowVersion: {
    method: 'GET',
    path: '/wheelhouse/api/v1/workflows/{id}/versions/{revision}',
    group,
    summary: 'A workflow as it was saved then',
    permission: 'workflow:read',
    rate: 'native',
    params: Type.Object({ id: Id, revision: Type.String({ pattern: '^[1-9][0-9]{0,8}$' }) }),
    reply: Workflow,
    faults: ['RES_NOT_FOUND'],
  },
  listStepChildren: {
    method: 'GET',
    path: '/wheelhouse/api/v1/workflow-runs/{id}/steps/{step}/children',
    group: 'Runs',
    summary: 'The children of a step that runs for each item, by pages',
    permission: 'run:read',
    rate: 'native',
    params: Type.Object({ id: Id, step: Text }),
    list: {
      fields: {
        index: { type: 'number', sort: true, filter: true },
        status: { type: 'text', filter: true },
      },
      default: 'index',
      maxPageSize: 200,
    },
    reply: Type.Object({ id: Type.String(), ...ChildStepRun.properties }),
    faults: ['RES_NOT_FOUND'],
  },
  listRunEvents: {
    method: 'GET',
    path: '/wheelhouse/api/v1/workflow-runs/{id}/events',
    group: 'Runs',
    summary: 'The whole timeline of a run, by pages',
    permission: 'run:read',
    rate: 'native',
    params: Type.Object({ id: Id }),
    list: {
      fields: {
        seq: { type: 'number', sort: true, filter: true },
        type: { type: 'text', filter: true },
        stepId: { type: 'text', filter: true, nullable: true },
      },
      default: 'seq',
      maxPageSize: 500,
    },
    reply: Type.Object({
      id: Type.String(),
      seq: Type.Integer(),
      time: Timestamp,
      type: Type.String(),
      stepId: Nullable(Type.String()),
      jobId: Nullable(Type.String()),
      status: Nullable(Type.String()),
      resultPtr: Nullable(Type.String()),
      message: Nullable(Type.String()),
      data: Json,
    }),
    faults: ['RES_NOT_FOUND'],
  },
  streamRun: {
    kind: 'sse',
    method: 'GET',
    path: '/wheelhouse/api/v1/workflow-runs/{id}/stream',
    group: 'Runs',
    summary:
      'A run as it goes on: `timeline` events from the first (or after Last-Event-ID), `run` with what changed, `end` at its end',
    permission: 'run:read',
    rate: 'native',
    params: Type.Object({ id: Id }),
    query: Type.Object({ after: Type.Optional(Type.Integer({ minimum: 0 })) }),
    reply: Type.Union([TimelineEvent, RunEvent]),
    faults: ['RES_NOT_FOUND'],
  },
  runCounts: {
    method: 'GET',
    path: '/wheelhouse/api/v1/workflow-runs/counts',
    group: 'Runs',
    summary: 'How many runs there are in each state, of each workflow: of the last days',
    permission: 'run:read',
    rate: 'native',
    query: Type.Object({ days: Type.Optional(Type.Integer({ minimum: 1, maximum: 90, default: 7 })) }),
    reply: Type.Object({
      workflows: Type.Array(
        Type.Object({
          workflowId: Type.String(),
          counts: Type.Record(Type.String({ description: RUN_STATUSES.join(', ') }), Type.Integer()),
          lastRunAt: Nullable(Timestamp),
        }),
      ),
    }),
  },
  whyRun: {
    method: 'GET',
    path: '/wheelhouse/api/v1/workflow-runs/{id}/why',
    group: 'Runs',
    summary:
      'What a run waits for, since when, and what clears it; or why it ended as it did. As text for `text/plain`',
    permission: 'run:read',
    rate: 'native',
    text: true,
    params: Type.Object({ id: Id }),
    reply: Why,
    faults: ['RES_NOT_FOUND'],
  },
})
