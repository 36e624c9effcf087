import { iso, type Instant } from '../../kernel/clock/index.ts'
import { sql, type Tx } from '../../kernel/db/index.ts'

/** What is set for a queue, as this transaction sees it. */
export async function braked(tx: Tx, { kind, name }: { kind: 'topic' | 'pool'; name: string }) {
  const row = await tx.maybe<{
    at: Instant | null
    by: string
    reason: string
    maxDepth: number | null
    maxAgeMs: number | null
  }>(sql`
    select paused_at as at, paused_by as by, pause_reason as reason, max_depth as "maxDepth", max_age_ms as "maxAgeMs"
      from queue_settings where kind = ${kind} and name = ${name}`)
  return {
    kind,
    name,
    paused: row && row.at !== null ? { at: iso(row.at), by: row.by, reason: row.reason } : null,
    limits: { maxDepth: row?.maxDepth ?? null, maxAgeMs: row?.maxAgeMs ?? null },
  }
}

export interface DepthRow {
  topic: string
  pool: string
  waiting: number
  held: number
  running: number
  blocked: number
  setAside: number
  oldest: Instant | null
}

/** How many jobs of each topic and way are in which state, and the oldest that waits. One pass over the tenant's queue. */
export const depths = (tx: Tx): Promise<DepthRow[]> =>
  tx.many<DepthRow>(sql`
    select q.topic, q.pool,
      count(*) filter (where q.state in ('ready', 'waiting', 'undecided'))::int as waiting,
      count(*) filter (where q.state = 'held')::int as held,
      count(*) filter (where q.state = 'leased')::int as running,
      count(*) filter (where q.state = 'blocked')::int as blocked,
      count(*) filter (where q.state = 'paused')::int as "setAside",
      min(j.created_at) filter (where q.state in ('ready', 'waiting', 'undecided', 'blocked', 'paused')) as oldest
    from job_queue q join jobs j on j.tenant_id = q.tenant_id and j.id = q.id
    where q.state <> 'cancelling' group by q.topic, q.pool order by q.topic, q.pool limit 5000`)
