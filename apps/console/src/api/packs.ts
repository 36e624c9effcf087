import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { MarketplacePack, PackRecord } from '@wheelhouse/contract/jobs/packs'
import { ask, client } from './client.ts'
import { keys } from './keys.ts'

export function usePacks(on = true) {
  return useQuery({
    queryKey: [...keys.packs, 'installed'],
    enabled: on,
    queryFn: ({ signal }) => client.jobs.packs.listPacks({ signal }),
  })
}

export function useMarketplace(on: boolean) {
  return useQuery({
    queryKey: [...keys.packs, 'market'],
    enabled: on,
    queryFn: ({ signal }) => client.jobs.marketplace.listMarketplace({ signal }),
  })
}

export interface InstallOptions {
  upgrade: boolean
  inactive: boolean
}

/** What packs bring shows in many places: workflows, policy, queues. */
function useChanged() {
  const cache = useQueryClient()
  return () => cache.invalidateQueries()
}

export function useInstallFile() {
  const onSettled = useChanged()
  return useMutation({
    mutationFn: ({
      file,
      signature,
      upgrade,
      inactive,
    }: InstallOptions & { file: File; signature: File | undefined }) => {
      const form = new FormData()
      form.set('bundle', file)
      if (signature) form.set('signature', signature)
      if (upgrade) form.set('upgrade', 'true')
      if (inactive) form.set('inactive', 'true')
      return ask<PackRecord>('jobs', 'POST', '/api/v1/packs/install', { body: form })
    },
    onSettled,
  })
}

export function useInstallListed() {
  const onSettled = useChanged()
  return useMutation({
    mutationFn: ({ pack, ...options }: InstallOptions & { pack: MarketplacePack }) =>
      ask<PackRecord>('jobs', 'POST', '/api/v1/marketplace/install', {
        body: { catalog_id: pack.catalog_id, pack_id: pack.id, version: pack.version, ...options },
      }),
    onSettled,
  })
}

export function useVerifyPack() {
  return useMutation({ mutationFn: (id: string) => client.jobs.packs.verifyPack({ params: { id } }) })
}

export function useUninstall() {
  const onSettled = useChanged()
  return useMutation({
    mutationFn: ({ id, purge }: { id: string; purge: boolean }) =>
      client.jobs.packs.uninstallPack({ params: { id }, body: { purge } }),
    onSettled,
  })
}
