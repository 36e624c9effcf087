import type { CompiledRule, Snapshot } from './snapshot.ts'
import { DEFAULT_APPROVAL, denial, strictness } from './decision.ts'
import type { Decision } from './decision.ts'
import { normal } from './facts.ts'
import { describeViolation } from './mcp.ts'
import { readRequest } from './request.ts'
import type { Input, PolicyRequest } from './request.ts'
import { safetyOf } from './safety.ts'

/**
 * Decides one request under one snapshot (jobs.md 20.2, 20.3). Pure: the same request under the same snapshot gets the
 * same answer. Without a snapshot everything is denied with `no policy loaded` (decisions D5); a job then waits.
 */
export function evaluate(snapshot: Snapshot | undefined, request: PolicyRequest): Decision {
  const refused = refuseTopic(request)
  if (refused) return refused
  if (!snapshot) return denial('', '', 'no policy loaded')
  const input = prepare(snapshot, request)
  return conclude(snapshot, input, decide(snapshot.rulesFor(input), input))
}

/** Step 2: a request without a proper topic is denied before policy is looked at. */
export function refuseTopic(request: PolicyRequest): Decision | undefined {
  if (request.topic === '') return denial('', '', 'missing topic')
  return request.topic.startsWith('job.') ? undefined : denial('', '', 'unsupported topic')
}

/** Step 1: whose request it is. */
export function prepare(snapshot: Snapshot, request: PolicyRequest): Input {
  const tenant = request.tenant || request.meta?.tenantId || snapshot.defaultTenant || 'default'
  return readRequest(request, normal(tenant), snapshot.uses)
}

/**
 * Step 3 over rules whose topics already match: the first match of each file, the strictest of them among files of equal
 * standing, and an earlier standing before a later one. `visit` hears of each rule looked at and what it failed on.
 */
export function decide(
  rules: readonly CompiledRule[],
  input: Input,
  visit?: (rule: CompiledRule, failedOn: string | undefined) => void,
): CompiledRule | undefined {
  let best: CompiledRule | undefined
  let decidedGroup: number | undefined
  for (const rule of rules) {
    if (best && (rule.tier !== best.tier || best.answer.decision === 'DENY')) break
    if (rule.group === decidedGroup) continue
    const failedOn = visit && !rule.matchesTopic(input.topic) ? 'topics' : failure(rule, input)
    visit?.(rule, failedOn)
    if (failedOn !== undefined) continue
    decidedGroup = rule.group
    if (!best || strictness(rule.answer.decision) > strictness(best.answer.decision)) best = rule
  }
  return best
}

function failure(rule: CompiledRule, input: Input): string | undefined {
  for (const check of rule.checks) if (!check.test(input)) return check.field
  return undefined
}

/** Steps 5 to 7: what overrides the rules, and the form of the answer. */
export function conclude(snapshot: Snapshot, input: Input, rule: CompiledRule | undefined): Decision {
  const decided = rule ? rule.answer : unmatched(snapshot)
  if (decided.decision === 'DENY') return decided
  // jobs.md 20.3 with its fix: an override clears the hold it overrides, constraints and remediations included.
  const override = overriding(snapshot, input)
  if (override) return override
  if (!decided.approvalRequired) return decided
  return { ...decided, approvalRef: input.request.jobId ?? '' }
}

function unmatched(snapshot: Snapshot): Decision {
  const { id, defaultDecision } = snapshot
  const answer = denial(id, 'default', 'no rule matched, and the policy denies what no rule allows')
  if (defaultDecision === 'deny') return answer
  if (defaultDecision === 'allow') return { ...answer, decision: 'ALLOW', ruleId: '', reason: '' }
  return {
    ...answer,
    decision: 'REQUIRE_APPROVAL',
    reason: 'no rule matched, and the policy asks for approval of what no rule allows',
    approvalRequired: true,
    approval: DEFAULT_APPROVAL,
  }
}

function overriding(snapshot: Snapshot, input: Input): Decision | undefined {
  const { mcp, topic, request } = input
  const tenant = mcp && snapshot.tenants.get(input.tenant)
  const violation = tenant?.mcp?.(mcp as NonNullable<typeof mcp>)
  if (tenant && violation) return denial(snapshot.id, `tenant:${tenant.name}:mcp`, describeViolation(violation))
  const safety = safetyOf(request.effectiveConfig)
  if (!safety) return undefined
  if (safety.malformed !== '') {
    return denial(snapshot.id, 'config:safety', `effective config key ${safety.malformed} is malformed`)
  }
  if (safety.denied?.(topic)) {
    return denial(snapshot.id, 'config:safety:denied_topics', `topic "${topic}" is denied by the effective config`)
  }
  if (safety.allowed && !safety.allowed(topic)) {
    return denial(
      snapshot.id,
      'config:safety:allowed_topics',
      `topic "${topic}" is not allowed by the effective config`,
    )
  }
  const found = mcp && safety.mcp?.(mcp)
  return found
    ? denial(snapshot.id, 'config:safety:mcp', `${describeViolation(found)} by the effective config`)
    : undefined
}
