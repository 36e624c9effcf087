import { Fault } from '@wheelhouse/contract'
import type { Principal } from '../kernel/identity/index.ts'

/** jobs.md §18.5: a tenant in a query or body is the request's own; empty means the same. */
export function requireOwnTenant(principal: Principal, ...named: (string | undefined)[]): void {
  for (const name of named) {
    if (name !== undefined && name !== '' && name !== principal.tenantId && name !== principal.tenantSlug)
      throw new Fault('PERM_TENANT')
  }
}
