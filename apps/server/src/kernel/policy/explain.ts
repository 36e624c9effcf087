import type { CompiledRule, Snapshot } from './snapshot.ts'
import type { Decision } from './decision.ts'
import { conclude, decide, evaluate, prepare, refuseTopic } from './evaluate.ts'
import type { PolicyRequest } from './request.ts'

/** One rule that was looked at (jobs.md 10, explain's fix). `failed_on` names the first condition that did not hold. */
export interface TraceEntry {
  readonly rule_id: string
  readonly matched: boolean
  readonly failed_on?: string
}

export interface Explanation {
  readonly decision: Decision
  /** At most 200 entries: those that matched always, of the others the first. */
  readonly trace: readonly TraceEntry[]
  /** How many rules the trace leaves out. */
  readonly omitted: number
  /** One or two sentences for a person: what decided, and what would clear it. */
  readonly why: string
}

const MAX_TRACE = 200

/** Decides as `evaluate` does and says how it came to it. */
export function explain(snapshot: Snapshot | undefined, request: PolicyRequest): Explanation {
  if (!snapshot || refuseTopic(request)) {
    const decision = evaluate(snapshot, request)
    return { decision, trace: [], omitted: 0, why: whyOf(decision, undefined) }
  }
  const visited: TraceEntry[] = []
  const input = prepare(snapshot, request)
  const rule = decide(snapshot.rules, input, ({ id }, failedOn) => {
    visited.push(
      failedOn === undefined ? { rule_id: id, matched: true } : { rule_id: id, matched: false, failed_on: failedOn },
    )
  })
  const decision = conclude(snapshot, input, rule)
  const trace = shorten(visited)
  return { decision, trace, omitted: visited.length - trace.length, why: whyOf(decision, rule) }
}

function shorten(visited: readonly TraceEntry[]): TraceEntry[] {
  let room = MAX_TRACE - visited.filter(({ matched }) => matched).length
  return visited.filter(({ matched }) => matched || room-- > 0).slice(0, MAX_TRACE)
}

/** What a decision means to the person whose job it is, without a request to explain it by. */
export function whyOf(decision: Decision, rule: CompiledRule | undefined): string {
  const { ruleId, source, reason } = decision
  const overridden = rule && rule.answer.ruleId !== ruleId ? ` This overrides rule "${rule.id}" of ${rule.source}.` : ''
  const by = source === '' ? '' : ` by rule "${ruleId}" of policy ${source}`
  const clears = clearing(decision)
  switch (decision.decision) {
    case 'ALLOW':
      return ruleId === '' ? 'Allowed: no rule matched, and the policy allows what no rule forbids.' : `Allowed${by}.`
    case 'ALLOW_WITH_CONSTRAINTS':
      return `Allowed${by}, within the limits that it sets.`
    case 'THROTTLE':
      return `Waiting${by}: ${reason}. It is decided again every few seconds.`
    case 'REQUIRE_APPROVAL':
      return `Held${by}: ${reason}. ${clears}`
    case 'DENY':
      return `Denied${by}: ${reason}.${overridden}${clears === '' ? '' : ` ${clears}`}`
  }
}

function clearing(decision: Decision): string {
  const { approval, remediations } = decision
  if (approval) {
    const people = approval.required === 1 ? 'one person' : `${approval.required} people`
    const roles = approval.roles.length > 0 ? ` with role ${approval.roles.join(' or ')}` : ' who may decide approvals'
    const other = approval.allowSelf === false ? ', other than who asked,' : ''
    const until = approval.expiresMs === null ? '' : ` within ${Math.round(approval.expiresMs / 60_000)} minutes`
    return `It goes on when ${people}${roles}${other} ${approval.required === 1 ? 'approves' : 'approve'} it${until}.`
  }
  const titles = remediations.map(({ title, summary }) => title || summary).filter((title) => title !== '')
  return titles.length > 0 ? `Instead: ${titles.join('; ')}.` : ''
}
