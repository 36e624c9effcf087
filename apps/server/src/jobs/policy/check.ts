import { Fault } from '@wheelhouse/contract'
import type { PolicyCheckBody } from '@wheelhouse/contract/jobs/policy'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Jobs } from '../../kernel/jobs/index.ts'
import type { PolicyRequest } from '../../kernel/policy/index.ts'
import type { TenantConfig } from '../../kernel/tenant-config/index.ts'

/** jobs.md §18.5: a tenant in a body must be the request's own; empty means it. */
function requireOwnTenant({ tenantId, tenantSlug }: Principal, names: readonly (string | undefined)[]): void {
  for (const name of names)
    if (name !== undefined && name !== '' && name !== tenantId && name !== tenantSlug) throw new Fault('PERM_TENANT')
}

/**
 * The question that a PolicyCheckBody asks (jobs.md §10), as the submission of the same job would ask it: under the configuration
 * that is in force there, unless the caller brings one.
 */
export async function policyQuestion(
  principal: Principal,
  body: PolicyCheckBody,
  { jobs, tenantConfig }: { jobs: Pick<Jobs, 'verb'>; tenantConfig: TenantConfig },
): Promise<PolicyRequest> {
  const { topic = '', meta = {} } = body
  if (topic.trim() === '') throw new Fault('VAL_SCHEMA', {}, { message: 'topic is required' })
  requireOwnTenant(principal, [body.tenant, body.org_id, meta.tenant_id])
  const tenant = principal.tenantSlug
  const principalId = body.principal_id || principal.subject
  // A topic of ours stands for its verb, whose risks count whatever the caller says (decisions D5).
  const verb = jobs.verb(topic)
  const place = { teamId: body.team_id, workflowId: body.workflow_id, stepId: body.step_id }
  const effectiveConfig =
    body.effective_config ?? (await tenantConfig.effective(principal.tenantId, place)).safety ?? undefined
  return {
    topic,
    jobId: body.job_id ?? null,
    tenant,
    principalId,
    labels: body.labels ?? null,
    effectiveConfig,
    meta: {
      tenantId: tenant,
      actorId: meta.actor_id || principalId,
      actorType: meta.actor_type ?? null,
      capability: meta.capability ?? null,
      packId: meta.pack_id ?? null,
      riskTags: [...new Set([...(meta.risk_tags ?? []), ...(verb?.risk ?? [])])],
      requires: meta.requires ?? null,
      labels: meta.labels ?? null,
    },
    verb: verb?.name ?? null,
    facts: body.facts ?? null,
  }
}

/** jobs.md §1.3 names the peer that does not answer; any other error goes on as it is. */
export function unavailable(error: unknown): never {
  if (error instanceof Fault && error.code === 'SYS_UNAVAILABLE')
    throw new Fault('SYS_UNAVAILABLE', {}, { message: 'safety kernel unavailable', cause: error, retryAfterMs: 1000 })
  throw error
}
