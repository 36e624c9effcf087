import { Fault } from '@wheelhouse/contract'
import { workflows } from '@wheelhouse/contract/jobs/workflows'
import { type Bound, serve } from '../../kernel/http/index.ts'
import {
  deleteWorkflow,
  findWorkflow,
  listWorkflows,
  saveWorkflow,
  shownWorkflow,
} from '../../kernel/workflows/index.ts'
import { capped } from '../moments.ts'
import { requireOwnTenant } from '../tenants.ts'

const missing = (): Fault => new Fault('RES_NOT_FOUND', {}, { message: 'not found' })

/** jobs.md §7. */
export const routes = (): Bound[] =>
  serve('jobs', workflows, {
    async listWorkflows({ tx, principal, query }) {
      requireOwnTenant(principal, query.org_id)
      const rows = await listWorkflows(tx, capped(query.limit ?? 100))
      return rows.map((row) => shownWorkflow(row, principal.tenantSlug))
    },

    async saveWorkflow({ tx, principal, body, now, audit }) {
      requireOwnTenant(principal, body.org_id)
      const { id, revision } = await saveWorkflow(tx, principal, body, now)
      audit({ resourceId: id, metadata: { revision } })
      return { id }
    },

    async getWorkflow({ tx, principal, params }) {
      const row = await findWorkflow(tx, params.id)
      if (!row) throw missing()
      return shownWorkflow(row, principal.tenantSlug)
    },

    async deleteWorkflow({ tx, principal, params, now }) {
      if (!(await deleteWorkflow(tx, principal, params.id, now))) throw missing()
      return null
    },
  })
