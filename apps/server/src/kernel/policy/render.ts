import type { Constraints, Remediation } from './constraints.ts'
import type { Decision, DecisionName } from './decision.ts'

const WIRE = {
  ALLOW: 'DECISION_TYPE_ALLOW',
  DENY: 'DECISION_TYPE_DENY',
  REQUIRE_APPROVAL: 'DECISION_TYPE_REQUIRE_HUMAN',
  THROTTLE: 'DECISION_TYPE_THROTTLE',
  ALLOW_WITH_CONSTRAINTS: 'DECISION_TYPE_ALLOW_WITH_CONSTRAINTS',
} as const satisfies Readonly<Record<DecisionName, string>>

/** PolicyCheckResponse of jobs.md 10: protobuf JSON with defaults emitted, 64-bit integers as text. */
export function checkResponse(decision: Decision) {
  return {
    decision: WIRE[decision.decision],
    reason: decision.reason,
    redactedContextPtr: '',
    policySnapshot: decision.snapshot,
    ruleId: decision.ruleId,
    constraints: decision.constraints && constraintsMessage(decision.constraints),
    approvalRequired: decision.approvalRequired,
    approvalRef: decision.approvalRef,
    remediations: decision.remediations.map((remediation) => ({
      ...remediation,
      addLabels: { ...remediation.addLabels },
      removeLabels: [...remediation.removeLabels],
    })),
  }
}

/** PolicyConstraints as protobuf JSON: the body of env `CORDUM_POLICY_CONSTRAINTS` (jobs.md 17.2) and part of the above. */
export function constraintsMessage(constraints: Constraints) {
  const { budgets, sandbox, toolchain, diff, redactionLevel } = constraints
  return {
    budgets: budgets && {
      maxRuntimeMs: String(budgets.maxRuntimeMs),
      maxRetries: budgets.maxRetries,
      maxArtifactBytes: String(budgets.maxArtifactBytes),
      maxConcurrentJobs: budgets.maxConcurrentJobs,
    },
    sandbox: sandbox && {
      isolated: sandbox.isolated,
      networkAllowlist: [...sandbox.networkAllowlist],
      fsReadOnly: [...sandbox.fsReadOnly],
      fsReadWrite: [...sandbox.fsReadWrite],
    },
    toolchain: toolchain && {
      allowedTools: [...toolchain.allowedTools],
      allowedCommands: [...toolchain.allowedCommands],
    },
    diff: diff && { maxFiles: diff.maxFiles, maxLines: diff.maxLines, denyPathGlobs: [...diff.denyPathGlobs] },
    redactionLevel,
  }
}

/** SafetyDecisionRecord of jobs.md 5.1: snake_case, 64-bit integers as numbers, empty members absent. */
export function decisionRecord(decision: Decision, made: { jobHash?: string; checkedAtUs?: number } = {}) {
  return compact({
    decision: decision.decision,
    reason: decision.reason,
    rule_id: decision.ruleId,
    policy_snapshot: decision.snapshot,
    constraints: decision.constraints ? constraintsRecord(decision.constraints) : undefined,
    approval_required: decision.approvalRequired,
    approval_ref: decision.approvalRef,
    job_hash: made.jobHash,
    remediations: decision.remediations.map(remediationRecord),
    checked_at: made.checkedAtUs,
  })
}

/** Constraints of jobs.md 5.1. */
export function constraintsRecord(constraints: Constraints) {
  const { budgets, sandbox, toolchain, diff, redactionLevel } = constraints
  return compact({
    budgets:
      budgets &&
      compact({
        max_runtime_ms: budgets.maxRuntimeMs,
        max_retries: budgets.maxRetries,
        max_artifact_bytes: budgets.maxArtifactBytes,
        max_concurrent_jobs: budgets.maxConcurrentJobs,
      }),
    sandbox:
      sandbox &&
      compact({
        isolated: sandbox.isolated,
        network_allowlist: sandbox.networkAllowlist,
        fs_read_only: sandbox.fsReadOnly,
        fs_read_write: sandbox.fsReadWrite,
      }),
    toolchain:
      toolchain && compact({ allowed_tools: toolchain.allowedTools, allowed_commands: toolchain.allowedCommands }),
    diff: diff && compact({ max_files: diff.maxFiles, max_lines: diff.maxLines, deny_path_globs: diff.denyPathGlobs }),
    redaction_level: redactionLevel,
  })
}

/** Remediation of jobs.md 5.1. */
export function remediationRecord(remediation: Remediation) {
  return compact({
    id: remediation.id,
    title: remediation.title,
    summary: remediation.summary,
    replacement_topic: remediation.replacementTopic,
    replacement_capability: remediation.replacementCapability,
    add_labels: Object.keys(remediation.addLabels).length > 0 ? remediation.addLabels : undefined,
    remove_labels: remediation.removeLabels,
  })
}

/** Drops what `omitempty` drops: '', 0, false, null and empty lists. An empty sub-object stays. */
function compact<T extends Record<string, unknown>>(record: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const kept = Object.entries(record).filter(
    ([, value]) => Boolean(value) && !(Array.isArray(value) && value.length === 0),
  )
  return Object.fromEntries(kept) as { [K in keyof T]?: NonNullable<T[K]> }
}
