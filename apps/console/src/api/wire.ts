// The documented shapes, as far as the pages read them: fleet.md §2, jobs.md §2 to §9, platform.md §4A.

import type { Heartbeat } from '@wheelhouse/contract/fleet/instances'
import type { InstanceStatus } from '@wheelhouse/contract/fleet/words'

export type { Heartbeat, InstanceStatus }
export type { Log } from '@wheelhouse/contract/fleet/logs'
export type { MetricPoint } from '@wheelhouse/contract/fleet/metrics'
export type { LifecycleAction, LogLevel } from '@wheelhouse/contract/fleet/words'

export interface AuthConfig {
  password_enabled: boolean
  user_auth_enabled: boolean
  default_tenant: string
  oidc_enabled?: boolean
  oidc_issuer?: string
  oidc_login_url?: string
  saml_enabled?: boolean
  saml_login_url?: string
}

export interface Instance {
  id: string
  name: string
  provider: string
  region: string | null
  distro: string | null
  extensions: string[]
  configHash: string | null
  sshEndpoint: string | null
  status: InstanceStatus
  createdAt: string
  updatedAt: string
  lastHeartbeat?: Heartbeat | null
  tags?: Record<string, string>
  agentVersion?: string | null
}

export interface FleetStats {
  total: number
  by_status: Partial<Record<InstanceStatus, number>>
  by_provider: { provider: string; count: number }[]
  active_sessions: number
  updated_at: string
}

export interface LatestMetric {
  instanceId: string
  timestamp: string
  cpuPercent: number
  memPercent: number
  diskPercent: number
  loadAvg1: number | null
}

export interface Process {
  pid: number
  name: string
  cpu_percent: number
  memory_bytes: number
  memory_percent: number
  status: string
  user: string
}

export interface InstanceEvent {
  id: string
  type: string
  timestamp: string
  metadata: Record<string, unknown> | null
}

export interface LifecycleResult {
  message: string
  id?: string
  name?: string
  status?: InstanceStatus
  jobId?: string
  approvalRequired?: boolean
}

export interface BulkResult {
  message: string
  results: { id: string; name: string; success: boolean; error: string | null; newStatus: InstanceStatus | null }[]
  summary: { total: number; succeeded: number; failed: number }
}

export interface Execution {
  id: string
  instanceId: string
  command: string
  args: string[]
  status: 'PENDING' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMEOUT'
  exitCode: number | null
  stdout: string | null
  stderr: string | null
  durationMs: number | null
  createdAt: string
  completedAt: string | null
  jobId?: string
  approvalRequired?: boolean
}

export type BulkExecution =
  { instanceId: string; success: true; execution: Execution } | { instanceId: string; success: false; error: string }

export interface FleetPage {
  pagination: { total: number; page: number; pageSize: number; totalPages: number }
}

export type JobState =
  | 'PENDING'
  | 'APPROVAL_REQUIRED'
  | 'SCHEDULED'
  | 'DISPATCHED'
  | 'RUNNING'
  | 'SUCCEEDED'
  | 'FAILED'
  | 'CANCELLED'
  | 'TIMEOUT'
  | 'DENIED'

export type Decision = 'ALLOW' | 'DENY' | 'REQUIRE_APPROVAL' | 'THROTTLE' | 'ALLOW_WITH_CONSTRAINTS'

export interface JobRecord {
  id: string
  trace_id?: string
  /** Microseconds. */
  updated_at: number
  state: JobState
  topic?: string
  tenant?: string
  team?: string
  principal?: string
  actor_id?: string
  actor_type?: 'human' | 'service'
  capability?: string
  pack_id?: string
  risk_tags?: string[]
  requires?: string[]
  attempts?: number
  safety_decision?: Decision
  safety_reason?: string
  safety_rule_id?: string
  /** Seconds. */
  deadline_unix?: number
}

export interface Remediation {
  id?: string
  title?: string
  summary?: string
}

export interface JobDetail extends Omit<
  JobRecord,
  'updated_at' | 'principal' | 'team' | 'risk_tags' | 'requires' | 'tenant'
> {
  trace_id: string
  context_ptr: string
  context: unknown
  result_ptr: string
  result: unknown
  tenant: string
  risk_tags: string[] | null
  requires: string[] | null
  idempotency_key: string
  safety_snapshot: string
  safety_constraints: Record<string, unknown> | null
  safety_remediations: Remediation[] | null
  safety_job_hash: string
  approval_required: boolean
  labels: Record<string, string>
  workflow_id: string
  run_id: string
  step_id: string
  error_message?: string
  error_status?: string
  error_code?: string
  last_state?: string
  approval_by?: string
  approval_role?: string
  /** Microseconds. */
  approval_at?: number
  approval_reason?: string
  approval_note?: string
}

export interface DecisionRecord {
  decision?: Decision
  reason?: string
  rule_id?: string
  policy_snapshot?: string
  constraints?: Record<string, unknown>
  approval_required?: boolean
  job_hash?: string
  /** Microseconds. */
  checked_at?: number
}

/** jobs.md §19.1: one bus packet in protobuf JSON. */
export interface StreamFrame {
  traceId?: string
  senderId?: string
  createdAt?: string
  jobRequest?: { jobId: string; topic?: string; labels?: Record<string, string> }
  jobResult?: { jobId: string; status?: string; errorCode?: string; errorMessage?: string; executionMs?: string }
  jobProgress?: { jobId: string; stepId?: string; percent?: number; message?: string; status?: string }
  jobCancel?: { jobId: string; reason?: string }
}

export interface AuditEntry {
  id: string
  userId: string | null
  userEmail: string | null
  userName: string | null
  action: string
  resource: string
  resourceId: string | null
  metadata: Record<string, unknown> | null
  ipAddress: string | null
  timestamp: string
}

export interface User {
  id: string
  username: string
  email?: string
  display_name?: string
  tenant: string
  roles?: string[]
  disabled?: boolean
  created_at?: string
  last_login_at?: string
}

export interface ServerStatus {
  time: string
  uptime_seconds: number
  build: { version: string; commit: string; date: string }
  nats: { connected: boolean; status: string }
  workers: { count: number }
}
