import { record } from '../audit/index.ts'
import type { Instant } from '../clock/index.ts'
import type { Tx } from '../db/index.ts'
import { publish } from '../events/index.ts'
import { actorOf, type Principal } from '../identity/index.ts'

/** What was done to policy; the row of the trail is `policy.<action>` (unification section 10). */
export type PolicyAction = 'publish' | 'rollback' | 'update' | 'capture' | 'settings'

export interface PolicyChange {
  readonly action: PolicyAction
  /** The bundle or snapshot that it was done to. */
  readonly resourceId: string
  readonly bundleIds?: readonly string[]
  readonly message?: string | undefined
  readonly before?: string
  readonly after?: string
}

/** Who asked, as the trail keeps it. */
export interface Caller {
  readonly principal: Principal
  readonly now: Instant
  readonly request: { id: string; ip: string; userAgent: string; traceId: string }
}

const EVENTS = {
  publish: 'policy.published',
  rollback: 'policy.rolled-back',
  update: 'policy.updated',
  settings: 'policy.updated',
} as const

/** Writes a change of policy into the trail, and as an event, with the transaction that makes it. */
export async function recordPolicyChange(
  tx: Tx,
  { principal, now, request }: Caller,
  change: PolicyChange,
): Promise<void> {
  const { action, resourceId, bundleIds, message, before, after } = change
  const told = {
    ...(bundleIds === undefined ? {} : { bundle_ids: [...bundleIds] }),
    ...(message === undefined || message === '' ? {} : { message }),
    ...(before === undefined ? {} : { snapshot_before: before }),
    ...(after === undefined ? {} : { snapshot_after: after }),
  }
  const actor = actorOf(principal)
  await record(tx, {
    at: now,
    actor,
    verb: `policy.${action}`,
    resourceKind: 'policy',
    resourceId,
    outcome: 'ok',
    ip: request.ip,
    userAgent: request.userAgent,
    requestId: request.id,
    traceId: request.traceId,
    metadata: { ...told, role: principal.roles[0] ?? '', subject: principal.subject },
  })
  if (action === 'capture') return
  await publish(tx, { type: EVENTS[action], resource: { kind: 'policy', id: resourceId }, actor, data: told, at: now })
}
