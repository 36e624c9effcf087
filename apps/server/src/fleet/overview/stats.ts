import { iso, type Instant } from '../../kernel/clock/index.ts'
import { type Statement, sql, type Tx } from '../../kernel/db/index.ts'

export interface FleetStats {
  total: number
  by_status: Record<string, number>
  by_provider: { provider: string; count: number }[]
  by_distro: Record<string, number>
  active_sessions: number
  updated_at: string
}

/** Counts of what is not destroyed (fleet.md §2, Fleet Overview), as far as the caller may see it. */
export async function fleetStats(tx: Tx, now: Instant, visible: Statement): Promise<FleetStats> {
  const rows = await tx.many<{ status: string; provider: string; distro: string | null; n: number }>(sql`
    select status, provider, distro, count(*) as n from instances where status <> 'DESTROYED' and ${visible} group by 1, 2, 3`)
  const by = (key: 'status' | 'provider' | 'distro'): Record<string, number> => {
    const counts: Record<string, number> = {}
    for (const row of rows) {
      const name = row[key]
      if (name !== null) counts[name] = (counts[name] ?? 0) + row.n
    }
    return counts
  }
  return {
    total: rows.reduce((sum, { n }) => sum + n, 0),
    by_status: by('status'),
    by_provider: Object.entries(by('provider'))
      .map(([provider, count]) => ({ provider, count }))
      .toSorted((a, b) => b.count - a.count || a.provider.localeCompare(b.provider)),
    by_distro: by('distro'),
    active_sessions: await activeSessions(tx),
    updated_at: iso(now),
  }
}

export const activeSessions = async (tx: Tx): Promise<number> =>
  (await tx.one<{ n: number }>(sql`select count(*) as n from terminal_sessions where status = 'ACTIVE'`)).n
