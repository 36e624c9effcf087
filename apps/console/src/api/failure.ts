import { ApiError } from './client.ts'

/** A refusal as a page shows it. */
export interface Failure {
  kind: 'forbidden' | 'denied' | 'missing' | 'busy' | 'error'
  message: string
  trace?: string | undefined
  permission?: string | undefined
  rule?: string | undefined
  decision?: string | undefined
  retryAfterMs?: number | undefined
}

const word = (members: unknown, ...names: string[]): string | undefined => {
  if (typeof members !== 'object' || members === null) return undefined
  for (const name of names) {
    const value = (members as Record<string, unknown>)[name]
    if (typeof value === 'string' && value !== '') return value
  }
  return undefined
}

/** What a thrown thing means for the person: refused by role, refused by policy, not there, too busy, or an error with its trace. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof ApiError)) {
    const offline = error instanceof TypeError
    return { kind: 'error', message: offline ? 'The server did not answer. Nothing was changed.' : String(error) }
  }
  const rule = word(error.details, 'rule', 'ruleId', 'rule_id') ?? word(error.body, 'rule', 'ruleId', 'rule_id')
  const base = {
    message: error.message,
    trace: error.requestId,
    rule,
    decision: word(error.details, 'decision', 'decisionId') ?? word(error.body, 'decisionId'),
    permission: word(error.details, 'permission') ?? word(error.body, 'permission'),
    retryAfterMs: error.retryAfterMs,
  }
  if (error.status === 403) return { ...base, kind: error.code === 'POLICY_DENIED' || rule ? 'denied' : 'forbidden' }
  if (error.status === 404) return { ...base, kind: 'missing' }
  if (error.status === 429) return { ...base, kind: 'busy' }
  return { ...base, kind: 'error' }
}
