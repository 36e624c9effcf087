import { installDefaultPolicy } from '../../apps/server/src/kernel/policy/index.ts'
import { createKey, createTenant, createUser } from '../../apps/server/src/kernel/identity/index.ts'
import type { Ground } from './ground.ts'
import { secondKernel } from './kernel.ts'

/** The ground as an administrator of another, new tenant sees it. */
export async function asOtherTenant(ground: Ground): Promise<Ground> {
  const kernel = await secondKernel(ground)
  try {
    const now = kernel.clock.now()
    // Its account on the bus the server makes itself, whose secrets this kernel has not.
    return await kernel.db.auth(async (tx) => {
      const tenant = await createTenant(tx, 'bench-other', 'Another tenant')
      const owner = { tenantId: tenant.id, username: 'bench', password: 'Bench-password-1', role: 'admin' }
      const user = await createUser(tx, now, owner)
      await installDefaultPolicy(tx, now, tenant.id)
      const key = { tenantId: tenant.id, ownerId: user.id, name: 'bench', roles: ['admin'], admin: true }
      return { ...ground, tenant: tenant.slug, apiKey: (await createKey(tx, now, key)).token }
    })
  } finally {
    await kernel.close()
  }
}
