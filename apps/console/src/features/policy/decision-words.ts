import type { PolicyAnswer } from '../../api/policy.ts'
import type { Decision } from '../../api/wire.ts'

const SAID: Record<PolicyAnswer['decision'], Decision> = {
  DECISION_TYPE_ALLOW: 'ALLOW',
  DECISION_TYPE_DENY: 'DENY',
  DECISION_TYPE_REQUIRE_HUMAN: 'REQUIRE_APPROVAL',
  DECISION_TYPE_THROTTLE: 'THROTTLE',
  DECISION_TYPE_ALLOW_WITH_CONSTRAINTS: 'ALLOW_WITH_CONSTRAINTS',
}

/** The answer in the words of jobs. */
export const saidOf = (answer: PolicyAnswer): Decision => SAID[answer.decision]

/** A decision as people write it (`require-approval`, `permit`) in the words of jobs. */
export function decisionWord(text: string): string {
  const word = text.trim().toUpperCase().replaceAll('-', '_').replaceAll(' ', '_')
  if (word === 'PERMIT') return 'ALLOW'
  if (word === 'BLOCK') return 'DENY'
  return word === 'REQUIRE_HUMAN' ? 'REQUIRE_APPROVAL' : word
}
