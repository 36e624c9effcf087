import { Fault } from '@wheelhouse/contract'
import type { PackRecord } from '@wheelhouse/contract/jobs/packs'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { policyQuestion, unavailable } from '../policy/check.ts'

interface Checked {
  name: string
  expected: string
  got: string
  reason: string
  ok: boolean
}

/** A decision by any of its names (jobs.md 24.4). */
function normalised(decision: string): string {
  const plain = decision
    .trim()
    .toUpperCase()
    .replaceAll('-', '_')
    .replace(/^DECISION_TYPE_/, '')
  return plain === 'REQUIRE_HUMAN' ? 'REQUIRE_APPROVAL' : plain
}

/** Runs the simulations of a pack under the policy as it is committed now. Throws SYS_UNAVAILABLE when policy cannot be asked. */
export async function verifyPack(
  kernel: Pick<Kernel, 'policy' | 'jobs' | 'tenantConfig'>,
  principal: Principal,
  record: PackRecord,
): Promise<Checked[]> {
  const results: Checked[] = []
  for (const { name, request, expectDecision } of record.tests.policySimulations ?? []) {
    const expected = normalised(expectDecision)
    try {
      const { topic, capability, packId, actorId, actorType, riskTags, requires } = request
      const body = {
        topic,
        meta: {
          capability,
          pack_id: packId === '' ? record.id : packId,
          actor_id: actorId,
          actor_type: actorType,
          risk_tags: riskTags ?? [],
          requires: requires ?? [],
        },
      }
      const question = await policyQuestion(principal, body, kernel)
      const { decision } = await kernel.policy.explain(principal.tenantId, question)
      const got = normalised(decision.decision)
      results.push({ name, expected, got, reason: decision.reason, ok: got === expected })
    } catch (error) {
      if (!(error instanceof Fault) || error.code === 'SYS_UNAVAILABLE') return unavailable(error)
      results.push({ name, expected, got: 'ERROR', reason: error.message, ok: false })
    }
  }
  return results
}
