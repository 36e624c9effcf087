import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Json, Labels, Nullable, OneOf } from '../schemas.ts'
import { Text } from './shapes.ts'

const group = 'Policy'
const Texts = Type.Array(Type.String())
const Wide = Type.String()

/** jobs.md §10. */
export const PolicyCheckBody = Type.Object({
  job_id: Type.Optional(Text(128)),
  topic: Type.Optional(Text(256)),
  tenant: Type.Optional(Text(128)),
  org_id: Type.Optional(Text(128)),
  team_id: Type.Optional(Text(128)),
  workflow_id: Type.Optional(Text(128)),
  step_id: Type.Optional(Text(128)),
  principal_id: Type.Optional(Text(256)),
  priority: Type.Optional(Text(32)),
  estimated_cost: Type.Optional(Type.Number()),
  budget: Type.Optional(
    Type.Object({
      max_input_tokens: Type.Optional(Type.Number()),
      max_output_tokens: Type.Optional(Type.Number()),
      max_total_tokens: Type.Optional(Type.Number()),
      deadline_ms: Type.Optional(Type.Number()),
    }),
  ),
  labels: Type.Optional(Labels),
  memory_id: Type.Optional(Text(256)),
  effective_config: Type.Optional(Json),
  meta: Type.Optional(
    Type.Object({
      tenant_id: Type.Optional(Text(128)),
      actor_id: Type.Optional(Text(256)),
      actor_type: Type.Optional(Text(32)),
      idempotency_key: Type.Optional(Text(256)),
      capability: Type.Optional(Text(256)),
      pack_id: Type.Optional(Text(256)),
      risk_tags: Type.Optional(Type.Array(Text(128), { maxItems: 200 })),
      requires: Type.Optional(Type.Array(Text(128), { maxItems: 200 })),
      labels: Type.Optional(Labels),
    }),
  ),
  // Beyond the document: what a verb of ours would tell policy.
  facts: Type.Optional(Type.Record(Type.String({ maxLength: 256 }), Json)),
})
export type PolicyCheckBody = Static<typeof PolicyCheckBody>

export const PolicyCheckResponse = Type.Object({
  decision: OneOf([
    'DECISION_TYPE_ALLOW',
    'DECISION_TYPE_DENY',
    'DECISION_TYPE_REQUIRE_HUMAN',
    'DECISION_TYPE_THROTTLE',
    'DECISION_TYPE_ALLOW_WITH_CONSTRAINTS',
  ]),
  reason: Wide,
  redactedContextPtr: Wide,
  policySnapshot: Wide,
  ruleId: Wide,
  constraints: Nullable(
    Type.Object({
      budgets: Nullable(
        Type.Object({
          maxRuntimeMs: Wide,
          maxRetries: Type.Integer(),
          maxArtifactBytes: Wide,
          maxConcurrentJobs: Type.Integer(),
        }),
      ),
      sandbox: Nullable(
        Type.Object({ isolated: Type.Boolean(), networkAllowlist: Texts, fsReadOnly: Texts, fsReadWrite: Texts }),
      ),
      toolchain: Nullable(Type.Object({ allowedTools: Texts, allowedCommands: Texts })),
      diff: Nullable(Type.Object({ maxFiles: Type.Integer(), maxLines: Type.Integer(), denyPathGlobs: Texts })),
      redactionLevel: Wide,
    }),
  ),
  approvalRequired: Type.Boolean(),
  approvalRef: Wide,
  remediations: Type.Array(
    Type.Object({
      id: Wide,
      title: Wide,
      summary: Wide,
      replacementTopic: Wide,
      replacementCapability: Wide,
      addLabels: Type.Record(Type.String(), Type.String()),
      removeLabels: Texts,
    }),
  ),
})

const check = {
  method: 'POST',
  group,
  permission: 'policy:read',
  rate: 'jobs-tenant',
  transaction: 'none',
  // Asks and records nothing.
  verb: null,
  body: PolicyCheckBody,
  faults: ['SYS_UNAVAILABLE', 'PERM_TENANT'],
} as const

export const policy = area({
  evaluatePolicy: {
    ...check,
    path: '/api/v1/policy/evaluate',
    summary: 'What policy would say of a job',
    reply: PolicyCheckResponse,
  },
  simulatePolicy: {
    ...check,
    path: '/api/v1/policy/simulate',
    summary: 'What policy would say of a job that is not submitted',
    reply: PolicyCheckResponse,
  },
  explainPolicy: {
    ...check,
    path: '/api/v1/policy/explain',
    summary: 'What policy would say of a job, rule by rule, and why',
    reply: Type.Object({
      ...PolicyCheckResponse.properties,
      trace: Type.Array(Type.Object({ rule_id: Wide, matched: Type.Boolean(), failed_on: Type.Optional(Wide) })),
      omitted: Type.Integer({ description: 'Rules that the trace leaves out' }),
      why: Wide,
    }),
  },
})
