import type { Instant } from '../clock/index.ts'
import { at, type Db, sql, type Tx } from '../db/index.ts'

/** Workflows that one look covers, and versions that one statement removes. */
const PAGE = 500
const BATCH = 1000
/** A start that has read a version when it was the current one has recorded its run by then. */
const SETTLED_MS = 600_000

interface Place {
  tenantId: string
  workflowId: string
}

const FIRST: Place = { tenantId: '00000000-0000-0000-0000-000000000000', workflowId: '' }

/**
 * Removes versions of workflows beyond the newest `keep` of each. Those that are current, or that a run names which is still kept, stay;
 * so do the newest of a workflow that was removed, since numbers go on from there. In batches. Repeatable.
 */
export async function dropOldVersions(db: Db, now: Instant, keep: number, signal: AbortSignal): Promise<void> {
  for (let after = FIRST; !signal.aborted;) {
    const page = await db.engine((tx) => workflowsAfter(tx, after))
    if (page.length === 0) return
    while (!signal.aborted && (await db.engine((tx) => dropOf(tx, page, now, keep))) === BATCH) continue
    after = page.at(-1) ?? FIRST
  }
}

/** Names of workflows that have versions, each found by one step into the index, however many versions there are. */
const workflowsAfter = (tx: Tx, { tenantId, workflowId }: Place): Promise<Place[]> =>
  tx.many<Place>(sql`
    with recursive names as (
      (select tenant_id, workflow_id from workflow_versions where (tenant_id, workflow_id) > (${tenantId}::uuid, ${workflowId})
        order by tenant_id, workflow_id limit 1)
      union all
      select next.* from names n cross join lateral (
        select v.tenant_id, v.workflow_id from workflow_versions v where (v.tenant_id, v.workflow_id) > (n.tenant_id, n.workflow_id)
         order by v.tenant_id, v.workflow_id limit 1) next
    ) select tenant_id as "tenantId", workflow_id as "workflowId" from names limit ${PAGE}`)

const dropOf = (tx: Tx, page: readonly Place[], now: Instant, keep: number): Promise<number> =>
  tx.run(sql`
    with beyond as (
      select p.tenant_id, p.workflow_id, cut.revision
        from unnest(${page.map(({ tenantId }) => tenantId)}::uuid[], ${page.map(({ workflowId }) => workflowId)}::text[]) p (tenant_id, workflow_id)
        cross join lateral (
          select v.revision from workflow_versions v where v.tenant_id = p.tenant_id and v.workflow_id = p.workflow_id
           order by v.revision desc offset ${keep} limit 1) cut
    ), doomed as (
      select v.tenant_id, v.workflow_id, v.revision from beyond b
        join workflow_versions v on v.tenant_id = b.tenant_id and v.workflow_id = b.workflow_id and v.revision <= b.revision
       where not exists (
               select from runs r where r.tenant_id = v.tenant_id and r.workflow_id = v.workflow_id and r.revision = v.revision)
         and not exists (
               select from workflows w where w.tenant_id = v.tenant_id and w.id = v.workflow_id and w.revision = v.revision)
         and (select n.saved_at from workflow_versions n
               where n.tenant_id = v.tenant_id and n.workflow_id = v.workflow_id and n.revision > v.revision
               order by n.revision limit 1) < ${at(now - SETTLED_MS)}
       limit ${BATCH}
    )
    delete from workflow_versions v using doomed d
     where v.tenant_id = d.tenant_id and v.workflow_id = d.workflow_id and v.revision = d.revision`)
