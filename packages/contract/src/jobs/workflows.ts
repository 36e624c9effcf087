import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Json, Labels, Timestamp } from '../schemas.ts'
import { Limit, Text } from './shapes.ts'

const group = 'Workflows'
const params = Type.Object({ id: Id })

/** Members of a definition in which null is a value. */
export const VERBATIM = ['input', 'input_schema', 'output_schema', 'parameters', 'config'] as const

/**
 * A step of a definition (jobs.md §21.1). Everything is optional and open here: what a step must look like is told by the compiler, which
 * names every problem of the whole definition at once.
 */
export const Step = Type.Object(
  {
    id: Type.Optional(Text(128)),
    name: Type.Optional(Text(512)),
    type: Type.Optional(Text(64)),
    topic: Type.Optional(Text(256)),
    worker_id: Type.Optional(Text(256)),
    depends_on: Type.Optional(Type.Array(Text(128), { maxItems: 500 })),
    condition: Type.Optional(Text(8192)),
    for_each: Type.Optional(Text(8192)),
    max_parallel: Type.Optional(Type.Integer()),
    input: Type.Optional(Json),
    input_schema: Type.Optional(Json),
    input_schema_id: Type.Optional(Text(256)),
    output_path: Type.Optional(Text(512)),
    output_schema: Type.Optional(Json),
    output_schema_id: Type.Optional(Text(256)),
    meta: Type.Optional(Json),
    on_error: Type.Optional(Text(128)),
    retry: Type.Optional(Json),
    timeout_sec: Type.Optional(Type.Number()),
    delay_sec: Type.Optional(Type.Number()),
    delay_until: Type.Optional(Text(64)),
    route_labels: Type.Optional(Labels),
  },
  { description: 'Members of the step’s own type (approval, cases, workflow_id, …) stand beside these' },
)

/** Keyed by step id; at most 500, as the compiler says. */
const Steps = Type.Record(Text(128), Step)

/** jobs.md §7. */
export const Workflow = Type.Object({
  id: Type.String(),
  org_id: Type.String(),
  team_id: Type.String(),
  name: Type.String(),
  description: Type.String(),
  version: Type.String(),
  timeout_sec: Type.Integer(),
  steps: Type.Record(Type.String(), Json),
  config: Type.Optional(Json),
  input_schema: Type.Optional(Json),
  parameters: Type.Optional(Type.Array(Json)),
  created_by: Type.String(),
  created_at: Timestamp,
  updated_at: Timestamp,
  // Beyond the document: counts the saves; each is kept and can be read.
  revision: Type.Integer(),
})

export type Workflow = Static<typeof Workflow>

/** What is given to make or replace a definition. */
export const WorkflowBody = Type.Object({
  id: Type.Optional(Text(128)),
  org_id: Type.Optional(Text(128)),
  team_id: Type.Optional(Text(128)),
  name: Type.Optional(Text(512)),
  description: Type.Optional(Text(8192)),
  version: Type.Optional(Text(128)),
  timeout_sec: Type.Optional(Type.Integer()),
  steps: Type.Optional(Steps),
  config: Type.Optional(Json),
  input_schema: Type.Optional(Json),
  parameters: Type.Optional(Type.Array(Json, { maxItems: 500 })),
  created_by: Type.Optional(Text(256)),
})

export const workflows = area({
  listWorkflows: {
    method: 'GET',
    path: '/api/v1/workflows',
    group,
    summary: 'Definitions of the tenant, the most recently saved first',
    permission: 'workflow:read',
    rate: 'jobs-tenant',
    query: Type.Object({ org_id: Type.Optional(Text(128)), limit: Type.Optional(Limit(100)) }),
    reply: Type.Array(Workflow),
    faults: ['PERM_TENANT'],
  },
  saveWorkflow: {
    method: 'POST',
    path: '/api/v1/workflows',
    group,
    summary: 'Makes a definition or replaces it; refused with every problem when it cannot run',
    permission: 'workflow:create',
    verb: 'workflow.save',
    rate: 'jobs-tenant',
    creates: true,
    verbatim: VERBATIM,
    body: WorkflowBody,
    reply: Type.Object({ id: Type.String() }),
    faults: ['PERM_TENANT', 'WORKFLOW_INVALID'],
  },
  getWorkflow: {
    method: 'GET',
    path: '/api/v1/workflows/{id}',
    group,
    summary: 'One definition',
    permission: 'workflow:read',
    rate: 'jobs-tenant',
    params,
    reply: Workflow,
    faults: ['RES_NOT_FOUND'],
  },
  deleteWorkflow: {
    method: 'DELETE',
    path: '/api/v1/workflows/{id}',
    group,
    summary: 'Removes a definition; its runs stay and go on',
    permission: 'workflow:delete',
    rate: 'jobs-tenant',
    params,
    status: 204,
    reply: Type.Null(),
    faults: ['RES_NOT_FOUND'],
  },
})
