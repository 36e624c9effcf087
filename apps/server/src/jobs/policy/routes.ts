import { Fault } from '@wheelhouse/contract'
import { jobs } from '@wheelhouse/contract/jobs/index'
import { type Bound, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { checkResponse } from '../../kernel/policy/index.ts'
import { bundleRoutes } from './bundle-routes.ts'
import { policyQuestion } from './check.ts'

/** jobs.md §1.3 names the peer that does not answer. */
function unavailable(error: unknown): never {
  if (error instanceof Fault && error.code === 'SYS_UNAVAILABLE')
    throw new Fault('SYS_UNAVAILABLE', {}, { message: 'safety kernel unavailable', cause: error, retryAfterMs: 1000 })
  throw error
}

/** Policy as jobs.md §10 has it. */
export const routes = (kernel: Kernel): Bound[] => [...checkRoutes(kernel), ...bundleRoutes(kernel)]

/** One evaluator under three names; nothing is recorded. */
const checkRoutes = ({ policy, jobs: engine }: Kernel) =>
  serve('jobs', jobs.policy, {
    evaluatePolicy: async ({ principal, body }) =>
      checkResponse(
        await policy.evaluate(principal.tenantId, policyQuestion(principal, body, engine)).catch(unavailable),
      ),
    simulatePolicy: async ({ principal, body }) =>
      checkResponse(
        await policy.evaluate(principal.tenantId, policyQuestion(principal, body, engine)).catch(unavailable),
      ),
    async explainPolicy({ principal, body }) {
      const question = policyQuestion(principal, body, engine)
      const { decision, trace, omitted, why } = await policy.explain(principal.tenantId, question).catch(unavailable)
      return { ...checkResponse(decision), trace: [...trace], omitted, why }
    },
  })
