import type { Constraints, Remediation } from './constraints.ts'
import type { ApprovalTerms, Verdict } from './language.ts'

/** Decision of jobs.md 5.1. */
export type DecisionName = 'ALLOW' | 'DENY' | 'REQUIRE_APPROVAL' | 'THROTTLE' | 'ALLOW_WITH_CONSTRAINTS'

/** The answer of policy to one request. Plain JSON: it is stored with the job as it is. */
export interface Decision {
  readonly decision: DecisionName
  /** Filled for denials, holds and throttling only (jobs.md 20.3). */
  readonly reason: string
  /** The deciding rule; `legacy:…`, `tenant:…:mcp`, `config:safety:…` or `default` where no rule of a file decided; '' = nothing matched. */
  readonly ruleId: string
  /** SHA-256 of the deciding rule as written, so that an approval can survive a change of some other rule; '' without a rule. */
  readonly ruleDigest: string
  /** The id of the source that holds the rule; '' without a rule. */
  readonly source: string
  readonly snapshot: string
  readonly constraints: Constraints | null
  readonly approvalRequired: boolean
  /** The job id when approval is required, else ''. */
  readonly approvalRef: string
  /** Who must approve; null = nobody. */
  readonly approval: ApprovalTerms | null
  readonly remediations: readonly Remediation[]
}

/** The terms of a hold whose rule does not say. */
export const DEFAULT_APPROVAL: ApprovalTerms = { required: 1, allowSelf: null, roles: [], expiresMs: null }

/** What a verdict is called in answers: an allowance with constraints has a name of its own (jobs.md 20.3 step 7). */
export function decisionName(verdict: Verdict, constrained: boolean): DecisionName {
  switch (verdict) {
    case 'allow':
      return constrained ? 'ALLOW_WITH_CONSTRAINTS' : 'ALLOW'
    case 'allow_with_constraints':
      return 'ALLOW_WITH_CONSTRAINTS'
    case 'deny':
      return 'DENY'
    case 'require_approval':
      return 'REQUIRE_APPROVAL'
    case 'throttle':
      return 'THROTTLE'
  }
}

const STRICTNESS: Readonly<Record<DecisionName, number>> = {
  ALLOW: 0,
  ALLOW_WITH_CONSTRAINTS: 1,
  THROTTLE: 2,
  REQUIRE_APPROVAL: 3,
  DENY: 4,
}

/** How strict an answer is, 0 to 4; the strictest wins among sources of equal standing. */
export function strictness(name: DecisionName): number {
  return STRICTNESS[name]
}

/** A denial that no rule of a file made. */
export function denial(snapshot: string, ruleId: string, reason: string): Decision {
  return {
    decision: 'DENY',
    reason,
    ruleId,
    ruleDigest: '',
    source: '',
    snapshot,
    constraints: null,
    approvalRequired: false,
    approvalRef: '',
    approval: null,
    remediations: [],
  }
}
