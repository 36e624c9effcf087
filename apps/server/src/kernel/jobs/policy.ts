import { type Decision, evaluate, type PolicyEngine, type PolicyRequest, type Snapshot } from '../policy/index.ts'

/** Policy's answer, or that there is none now: the job then waits and is asked about again (decisions D5). */
export interface Answer {
  decision: Decision
  /** Whether policy was there to answer. */
  decided: boolean
}

const waiting = (reason: string): Answer => ({
  decided: false,
  decision: {
    decision: 'THROTTLE',
    reason,
    ruleId: '',
    ruleDigest: '',
    source: '',
    snapshot: '',
    constraints: null,
    approvalRequired: false,
    approvalRef: '',
    approval: null,
    remediations: [],
  },
})

/** The tenant's snapshot without waiting where it is known; undefined when nothing is loaded. */
async function snapshotOf(policy: PolicyEngine, tenantId: string): Promise<Snapshot | undefined> {
  return (policy.peek(tenantId) ?? (await policy.current(tenantId))).snapshot
}

/** Decides a job. Never throws: a policy that cannot be read is one that has not answered. */
export async function decide(policy: PolicyEngine, tenantId: string, request: PolicyRequest): Promise<Answer> {
  try {
    const snapshot = await snapshotOf(policy, tenantId)
    if (!snapshot) return waiting('no policy loaded')
    return { decided: true, decision: evaluate(snapshot, request) }
  } catch {
    return waiting('policy is not available')
  }
}
