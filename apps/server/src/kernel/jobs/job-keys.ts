import type { Instant } from '../clock/index.ts'
import { sql, type Tx } from '../db/index.ts'

export interface KeyClaim {
  tenantId: string
  key: string
  jobId: string
  traceId: string
  digest: Buffer
  at: Instant
  expiresAt: Instant
}

export interface KnownKey {
  jobId: string
  traceId: string
  /** The key stands for another request. */
  conflict: boolean
}

/**
 * Binds idempotency keys to the jobs about to be written (7 days, per tenant: jobs.md 17.6). For each key that was bound already the
 * answer names the first job; undefined means that the key is ours now. Of equal keys in one call the first gets it.
 */
export async function claimKeys(tx: Tx, claims: readonly KeyClaim[]): Promise<(KnownKey | undefined)[]> {
  const name = ({ tenantId, key }: KeyClaim): string => `${tenantId} ${key}`
  const first = new Map<string, KeyClaim>()
  for (const claim of claims) if (!first.has(name(claim))) first.set(name(claim), claim)
  const sorted = [...first.values()].sort((a, b) => (name(a) < name(b) ? -1 : 1))
  const won = await tx.many<{ tenant_id: string; key: string }>(sql`
    insert into job_keys (tenant_id, key, job_id, trace_id, digest, expires_at)
    select * from unnest(${sorted.map(({ tenantId }) => tenantId)}::uuid[], ${sorted.map(({ key }) => key)}::text[],
      ${sorted.map(({ jobId }) => jobId)}::text[], ${sorted.map(({ traceId }) => traceId)}::text[], ${sorted.map(({ digest }) => digest)}::bytea[],
      ${sorted.map(({ expiresAt }) => new Date(expiresAt))}::timestamptz[])
    on conflict (tenant_id, key) do update set job_id = excluded.job_id, trace_id = excluded.trace_id, digest = excluded.digest,
      expires_at = excluded.expires_at where job_keys.expires_at <= ${new Date(sorted[0]?.at ?? 0)}
    returning tenant_id, key`)
  const mine = new Set(won.map((row) => `${row.tenant_id} ${row.key}`))
  const lost = sorted.filter((claim) => !mine.has(name(claim)))
  const rows =
    lost.length === 0
      ? []
      : await tx.many<{ tenant_id: string; key: string; job_id: string; trace_id: string; digest: Buffer }>(sql`
          select k.tenant_id, k.key, k.job_id, k.trace_id, k.digest from job_keys k
            join unnest(${lost.map(({ tenantId }) => tenantId)}::uuid[], ${lost.map(({ key }) => key)}::text[]) as w(tenant_id, key)
              on w.tenant_id = k.tenant_id and w.key = k.key`)
  const known = new Map(rows.map((row) => [`${row.tenant_id} ${row.key}`, row]))
  return claims.map((claim) => {
    const winner = first.get(name(claim))
    const row = known.get(name(claim))
    if (row) return { jobId: row.job_id, traceId: row.trace_id, conflict: !row.digest.equals(claim.digest) }
    if (winner === claim || winner === undefined) return undefined
    return { jobId: winner.jobId, traceId: winner.traceId, conflict: !winner.digest.equals(claim.digest) }
  })
}
