import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { ids } from '../../kernel/clock/index.ts'
import { serve, validate } from '../../kernel/http/index.ts'
import { can } from '../../kernel/identity/index.ts'
import { policyRequest } from '../../kernel/jobs/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

/** Verbs and what policy would say of them. */
export const routes = ({ db, jobs, policy, tenantConfig }: Kernel) =>
  serve('native', native.verbs, {
    listVerbs: ({ principal }) => ({
      items: jobs
        .verbs()
        .filter(({ name }) => can(principal, name))
        .map(({ name, topic, risk, timeoutMs, maxAttempts, input }) => ({
          name,
          topic,
          risk: [...risk],
          timeoutMs,
          maxAttempts,
          input,
        }))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    }),

    async previewVerb({ principal, params, body }) {
      const verb = jobs.verb(params.name)
      if (!verb) throw new Fault('RES_NOT_FOUND', { kind: 'verb', id: params.name })
      // Who may not do it learns nothing of what it would meet.
      if (!can(principal, verb.name)) throw new Fault('PERM_DENIED', { required: verb.name, roles: principal.roles })
      const input = validate(verb.input, structuredClone(body.input), 'body', false)
      const facts = await db.tenant(principal.tenantId, (tx) => verb.facts(tx, input))
      const question = policyRequest(
        ids.next(),
        {
          topic: verb.topic,
          tenant: principal.tenantSlug,
          principalId: principal.subject,
          verb: verb.name,
          meta: {
            actorId: principal.subject,
            actorType: principal.kind === 'user' ? 'human' : 'service',
            riskTags: verb.risk,
          },
        },
        facts,
      )
      const { safety } = await tenantConfig.effective(principal.tenantId)
      const asked = safety ? { ...question, effectiveConfig: safety } : question
      const { decision, trace, why } = await policy.explain(principal.tenantId, asked)
      return {
        decision: decision.decision,
        why,
        rule: decision.ruleId,
        snapshot: decision.snapshot,
        trace: trace.map(({ rule_id: rule, matched, failed_on: failedOn }) => ({
          rule,
          matched,
          ...(failedOn === undefined ? {} : { failedOn }),
        })),
      }
    },
  })
