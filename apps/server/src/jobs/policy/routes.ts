import { jobs } from '@wheelhouse/contract/jobs/index'
import type { PolicyCheckBody } from '@wheelhouse/contract/jobs/policy'
import { type Bound, serve } from '../../kernel/http/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { checkResponse } from '../../kernel/policy/index.ts'
import { bundleRoutes } from './bundle-routes.ts'
import { policyQuestion, unavailable } from './check.ts'

/** Policy as jobs.md §10 has it. */
export const routes = (kernel: Kernel): Bound[] => [...checkRoutes(kernel), ...bundleRoutes(kernel)]

/** One evaluator under three names; nothing is recorded. */
function checkRoutes(kernel: Kernel) {
  const { policy } = kernel
  const check = async ({ principal, body }: { principal: Principal; body: PolicyCheckBody }) => {
    const question = await policyQuestion(principal, body, kernel)
    return checkResponse(await policy.evaluate(principal.tenantId, question).catch(unavailable))
  }
  return serve('jobs', jobs.policy, {
    evaluatePolicy: check,
    simulatePolicy: check,
    async explainPolicy({ principal, body }) {
      const question = await policyQuestion(principal, body, kernel)
      const { decision, trace, omitted, why } = await policy.explain(principal.tenantId, question).catch(unavailable)
      return { ...checkResponse(decision), trace: [...trace], omitted, why }
    },
  })
}
