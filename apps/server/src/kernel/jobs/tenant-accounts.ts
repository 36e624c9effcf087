import type { Instant } from '../clock/index.ts'
import { sql } from '../db/index.ts'
import type { Core } from './core.ts'
import { AGAIN_MS } from './delays.ts'

/** The public key of a tenant's own account, which never changes. */
export function tenantAccounts({ db, clock }: Pick<Core, 'db' | 'clock'>): {
  learn(tenantId: string): Promise<void>
  known(tenantId: string): string | undefined
} {
  const found = new Map<string, string>()
  const absent = new Map<string, Instant>()
  return {
    async learn(tenantId) {
      if (found.has(tenantId) || (absent.get(tenantId) ?? 0) > clock.now()) return
      const row = await db.tenant(tenantId, (tx) =>
        tx.maybe<{ key: string }>(sql`select public_key as key from nats_accounts where owner_id is null`),
      )
      if (row) found.set(tenantId, row.key)
      else absent.set(tenantId, clock.now() + AGAIN_MS)
    },
    known: (tenantId) => found.get(tenantId),
  }
}
