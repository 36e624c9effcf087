import { Fault } from '@wheelhouse/contract'
import { jobs } from '@wheelhouse/contract/jobs/index'
import { type Bound, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { readBundle } from './archive.ts'
import { readInstallForm } from './form.ts'
import { installPack, uninstallPack } from './install.ts'
import { openMarketplace } from './marketplace.ts'
import { installedPacks } from './registry.ts'
import { verifyPack } from './verify.ts'

/** jobs.md §13 and §24. */
export const routes = (kernel: Kernel): Bound[] => [...packRoutes(kernel), ...marketplaceRoutes(kernel)]

const packRoutes = (kernel: Kernel) =>
  serve('jobs', jobs.packs, {
    listPacks: async ({ tx }) => ({ items: [...(await installedPacks(tx)).values()] }),

    async getPack({ tx, params }) {
      const record = (await installedPacks(tx)).get(params.id)
      if (!record) throw new Fault('RES_NOT_FOUND', { id: params.id }, { message: 'not found' })
      return record
    },

    async installPack({ principal, body, request, audit }) {
      const { bundle, ...options } = await readInstallForm(body, request.header('content-type'))
      const record = await installPack(kernel, principal, await readBundle(bundle), { ...options, request })
      audit({ resourceId: record.id, after: shown(record) })
      return record
    },

    async verifyPack({ principal, params }) {
      const record = await kernel.db.tenant(principal.tenantId, async (tx) => (await installedPacks(tx)).get(params.id))
      if (!record || record.status === 'DISABLED')
        throw new Fault('RES_NOT_FOUND', { id: params.id }, { message: 'pack not installed' })
      return { pack_id: record.id, results: await verifyPack(kernel, principal, record) }
    },

    async uninstallPack({ principal, params, body, request, audit }) {
      const purge = body.purge ?? false
      const record = await uninstallPack(kernel, principal, params.id, { purge, request })
      audit({ after: { ...shown(record), purge } })
      return record
    },
  })

function marketplaceRoutes(kernel: Kernel) {
  const marketplace = openMarketplace(kernel)
  return serve('jobs', jobs.marketplace, {
    listMarketplace: ({ principal }) => marketplace.list(principal.tenantId),

    async installFromMarketplace({ principal, body, request, audit }) {
      const { force = false, upgrade = false, inactive = false, ...wanted } = body
      const { bytes, signature, url } = await marketplace.download(principal.tenantId, wanted)
      const options = { force, upgrade, inactive, signature, request }
      const record = await installPack(kernel, principal, await readBundle(bytes), options)
      audit({ resourceId: record.id, after: shown(record), metadata: { url } })
      return record
    },
  })
}

const shown = ({
  version,
  status,
  sha256,
  signature,
}: {
  version: string
  status: string
  sha256?: string
  signature?: object
}) => ({
  version,
  status,
  sha256,
  signature,
})
