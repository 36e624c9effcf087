import type { Check } from './checks.ts'
import type { Decision } from './decision.ts'
import type { McpViolation } from './mcp.ts'
import type { Input, McpCall, Uses } from './request.ts'

/** The values of one field without which a rule cannot match: what an index may file it under. */
export interface RuleKey {
  readonly kind: 'capability' | 'actorId' | 'packId' | 'riskTags' | 'tenant'
  readonly values: readonly string[]
}

export interface CompiledRule {
  /** Its place among all rules of the snapshot. */
  readonly order: number
  readonly id: string
  readonly source: string
  /** 0 base, 1 `secops/`, 2 the rest: an earlier tier decides over a later one. */
  readonly tier: number
  /** Rules of one group are one file: its first match is its answer. */
  readonly group: number
  readonly key: RuleKey | null
  readonly topics: readonly string[]
  readonly matchesTopic: (topic: string) => boolean
  readonly checks: readonly Check[]
  /** The answer of this rule, complete but for `approvalRef`. */
  readonly answer: Decision
}

export interface CompiledTenant {
  readonly name: string
  readonly mcp: ((call: McpCall) => McpViolation | undefined) | undefined
}

/** Policy ready to be evaluated. Immutable but for the memory of its topic index. */
export interface Snapshot {
  readonly id: string
  readonly defaultTenant: string
  readonly defaultDecision: 'allow' | 'deny' | 'require_approval'
  /** The source that says so; '' = none does, and the documented default stands. */
  readonly defaultSetBy: string
  readonly rules: readonly CompiledRule[]
  /** The rules that can match a request, in their order; their topics do match. */
  readonly rulesFor: (input: Input) => readonly CompiledRule[]
  /** By normalised tenant. */
  readonly tenants: ReadonlyMap<string, CompiledTenant>
  readonly uses: Uses
  /** Complaints about accepted files: `<source>: line …`. */
  readonly warnings: readonly string[]
}
