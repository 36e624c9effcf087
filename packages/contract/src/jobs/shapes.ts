import { Type } from 'typebox'
import { Json, Labels, OneOf, Timestamp } from '../schemas.ts'

/** jobs.md §5.1. */
export const JobState = OneOf([
  'PENDING',
  'APPROVAL_REQUIRED',
  'SCHEDULED',
  'DISPATCHED',
  'RUNNING',
  'SUCCEEDED',
  'FAILED',
  'CANCELLED',
  'TIMEOUT',
  'DENIED',
])

export const Decision = OneOf(['ALLOW', 'DENY', 'REQUIRE_APPROVAL', 'THROTTLE', 'ALLOW_WITH_CONSTRAINTS'])

/** Microseconds since 1970. */
export const Micros = Type.Integer({ minimum: 0 })

const Texts = Type.Unsafe<readonly string[]>(Type.Array(Type.String()))

export const Constraints = Type.Object({
  budgets: Type.Optional(
    Type.Object({
      max_runtime_ms: Type.Optional(Type.Integer()),
      max_retries: Type.Optional(Type.Integer()),
      max_artifact_bytes: Type.Optional(Type.Integer()),
      max_concurrent_jobs: Type.Optional(Type.Integer()),
    }),
  ),
  sandbox: Type.Optional(
    Type.Object({
      isolated: Type.Optional(Type.Boolean()),
      network_allowlist: Type.Optional(Texts),
      fs_read_only: Type.Optional(Texts),
      fs_read_write: Type.Optional(Texts),
    }),
  ),
  toolchain: Type.Optional(
    Type.Object({ allowed_tools: Type.Optional(Texts), allowed_commands: Type.Optional(Texts) }),
  ),
  diff: Type.Optional(
    Type.Object({
      max_files: Type.Optional(Type.Integer()),
      max_lines: Type.Optional(Type.Integer()),
      deny_path_globs: Type.Optional(Texts),
    }),
  ),
  redaction_level: Type.Optional(Type.String()),
})

export const Remediation = Type.Object({
  id: Type.Optional(Type.String()),
  title: Type.Optional(Type.String()),
  summary: Type.Optional(Type.String()),
  replacement_topic: Type.Optional(Type.String()),
  replacement_capability: Type.Optional(Type.String()),
  add_labels: Type.Optional(Labels),
  remove_labels: Type.Optional(Texts),
})

export const JobRecord = Type.Object({
  id: Type.String(),
  trace_id: Type.Optional(Type.String()),
  updated_at: Micros,
  state: JobState,
  topic: Type.Optional(Type.String()),
  tenant: Type.Optional(Type.String()),
  team: Type.Optional(Type.String()),
  principal: Type.Optional(Type.String()),
  actor_id: Type.Optional(Type.String()),
  actor_type: Type.Optional(Type.String()),
  idempotency_key: Type.Optional(Type.String()),
  capability: Type.Optional(Type.String()),
  pack_id: Type.Optional(Type.String()),
  risk_tags: Type.Optional(Texts),
  requires: Type.Optional(Texts),
  attempts: Type.Optional(Type.Integer()),
  safety_decision: Type.Optional(Decision),
  safety_reason: Type.Optional(Type.String()),
  safety_rule_id: Type.Optional(Type.String()),
  safety_snapshot: Type.Optional(Type.String()),
  deadline_unix: Type.Optional(Type.Integer()),
})

/** §6 with its fix: what the dashboard's trace view reads beside the record. */
export const TraceRecord = Type.Object({
  ...JobRecord.properties,
  job_id: Type.String(),
  created_at: Timestamp,
  parent_job_id: Type.Optional(Type.String()),
  error_message: Type.Optional(Type.String()),
})

export const SafetyDecisionRecord = Type.Object({
  decision: Type.Optional(Decision),
  reason: Type.Optional(Type.String()),
  rule_id: Type.Optional(Type.String()),
  policy_snapshot: Type.Optional(Type.String()),
  constraints: Type.Optional(Constraints),
  approval_required: Type.Optional(Type.Boolean()),
  approval_ref: Type.Optional(Type.String()),
  job_hash: Type.Optional(Type.String()),
  remediations: Type.Optional(Type.Array(Remediation)),
  checked_at: Type.Optional(Micros),
  /** Who asked, and for whom, nearest first. */
  principal_id: Type.Optional(Type.String()),
  on_behalf_of: Type.Optional(Texts),
})

const NullableTexts = Type.Union([Texts, Type.Null()])

export const JobDetail = Type.Object({
  id: Type.String(),
  state: JobState,
  trace_id: Type.String(),
  context_ptr: Type.String(),
  context: Json,
  result_ptr: Type.String(),
  result: Json,
  topic: Type.String(),
  tenant: Type.String(),
  actor_id: Type.String(),
  actor_type: Type.String(),
  idempotency_key: Type.String(),
  capability: Type.String(),
  pack_id: Type.String(),
  risk_tags: NullableTexts,
  requires: NullableTexts,
  attempts: Type.Integer(),
  safety_decision: Type.String(),
  safety_reason: Type.String(),
  safety_rule_id: Type.String(),
  safety_snapshot: Type.String(),
  safety_constraints: Type.Union([Constraints, Type.Null()]),
  safety_remediations: Type.Union([Type.Array(Remediation), Type.Null()]),
  safety_job_hash: Type.String(),
  approval_required: Type.Boolean(),
  approval_ref: Type.String(),
  labels: Labels,
  workflow_id: Type.String(),
  run_id: Type.String(),
  step_id: Type.String(),
  error_message: Type.Optional(Type.String()),
  error_status: Type.Optional(Type.String()),
  error_code: Type.Optional(Type.String()),
  last_state: Type.Optional(Type.String()),
  approval_by: Type.Optional(Type.String()),
  approval_role: Type.Optional(Type.String()),
  approval_at: Type.Optional(Micros),
  approval_reason: Type.Optional(Type.String()),
  approval_note: Type.Optional(Type.String()),
  approval_policy_snapshot: Type.Optional(Type.String()),
  approval_job_hash: Type.Optional(Type.String()),
  // Beyond the document: what the console shows of the job's life.
  principal_id: Type.Optional(Type.String()),
  on_behalf_of: Type.Optional(Texts),
  principal: Type.Optional(Type.String()),
  worker_id: Type.Optional(Type.String()),
  created_at: Type.Optional(Timestamp),
  started_at: Type.Optional(Timestamp),
  completed_at: Type.Optional(Timestamp),
})

export const AuthUser = Type.Object({
  id: Type.String(),
  username: Type.String(),
  email: Type.Optional(Type.String()),
  display_name: Type.Optional(Type.String()),
  tenant: Type.String(),
  roles: Type.Optional(Texts),
  disabled: Type.Optional(Type.Boolean()),
  source: Type.Optional(OneOf(['user', 'api_key'])),
  created_at: Type.Optional(Timestamp),
  updated_at: Type.Optional(Timestamp),
  last_login_at: Type.Optional(Timestamp),
})

export const AuthLoginResponse = Type.Object({ token: Type.String(), expires_at: Timestamp, user: AuthUser })

/** A parameter that falls back to its default where it does not parse (§1.6); larger values count as the cap. */
export const Limit = (byDefault: number) => Type.Integer({ minimum: 1, maximum: 1_000_000_000, default: byDefault })

/** A point in time in seconds, milliseconds, microseconds or nanoseconds, told apart by size (§1.6). */
export const Moment = Type.Integer({ minimum: 0 })

export const Text = (most = 1024) => Type.String({ maxLength: most })
