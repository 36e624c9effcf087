import { native } from '@wheelhouse/contract/native/index'
import type { TenantSettings } from '@wheelhouse/contract/native/tenant-settings'
import { jsonb, sql, type Tx } from '../../kernel/db/index.ts'
import { type Bound, serve } from '../../kernel/http/index.ts'

type Stored = { approvals?: Partial<TenantSettings['approvals']>; retention?: Partial<TenantSettings['retention']> }

/** With `lock`, other writers wait until the commit. */
const readSettings = async (tx: Tx, lock?: 'lock'): Promise<Stored> =>
  (
    await tx.one<{ settings: Stored }>(
      sql`select settings from tenants where id = ${tx.tenantId} ${lock ? sql`for update` : sql``}`,
    )
  ).settings

const shown = ({ approvals = {}, retention = {} }: Stored): TenantSettings => ({
  approvals: { allowSelf: approvals.allowSelf ?? null },
  retention: { jobsMs: retention.jobsMs ?? null, deadLettersMs: retention.deadLettersMs ?? null },
})

/** A tenant's own choices. Whoever needs one reads it from `tenants.settings` when it counts: nothing is cached. */
export const routes = (): Bound[] =>
  serve('native', native.tenantSettings, {
    get: async ({ tx }) => shown(await readSettings(tx)),

    async patch({ tx, body, audit }) {
      const before = await readSettings(tx, 'lock')
      const after: Stored = {
        ...before,
        ...(body.approvals ? { approvals: { ...before.approvals, ...body.approvals } } : {}),
        ...(body.retention ? { retention: { ...before.retention, ...body.retention } } : {}),
      }
      await tx.run(sql`update tenants set settings = ${jsonb(after)} where id = ${tx.tenantId}`)
      audit({ resourceId: tx.tenantId, before: shown(before), after: shown(after) })
      return shown(after)
    },
  })
