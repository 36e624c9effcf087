import { type Instant, iso } from '../../kernel/clock/index.ts'
import { type Db, sql } from '../../kernel/db/index.ts'
import type { PolicyAction } from '../../kernel/policy/index.ts'

interface AuditRow {
  id: string
  at: Instant
  verb: string
  actor_id: string
  metadata: {
    bundle_ids?: string[]
    message?: string
    snapshot_before?: string
    snapshot_after?: string
    role?: string
    subject?: string
  } | null
}

const DOCUMENTED: readonly PolicyAction[] = ['publish', 'rollback']
const EDITS: readonly PolicyAction[] = ['update', 'capture', 'settings']
const NEWEST = 100

/** The policy audit of jobs.md §10: the newest hundred rows of our trail about changes of policy (unification section 10). */
export async function policyAudit(db: Db, tenantId: string, withEdits: boolean) {
  const verbs = [...DOCUMENTED, ...(withEdits ? EDITS : [])].map((action) => `policy.${action}`)
  const rows = await db.big(
    tenantId,
    (tenant) => sql<AuditRow>`
      select id, at, verb, actor_id, body -> 'metadata' as metadata from audit
       where tenant_id = ${tenant} and verb = any(${verbs}) and outcome = 'ok' order by at desc, seq desc limit ${NEWEST}`,
  )
  return rows.map(({ id, at, verb, actor_id: actorId, metadata }) => {
    const { bundle_ids, message, snapshot_before, snapshot_after, role = '', subject = actorId } = metadata ?? {}
    return {
      id,
      action: verb.slice('policy.'.length) as PolicyAction,
      actor_id: subject,
      ...(role === '' ? {} : { role }),
      ...(bundle_ids === undefined ? {} : { bundle_ids }),
      ...(message === undefined ? {} : { message }),
      ...(snapshot_before === undefined ? {} : { snapshot_before }),
      ...(snapshot_after === undefined ? {} : { snapshot_after }),
      created_at: iso(at),
    }
  })
}
