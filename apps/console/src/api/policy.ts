import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { PolicyCheckBody } from '@wheelhouse/contract/jobs/policy'
import type { WhatIfBody, WhatIfReply } from '@wheelhouse/contract/native/policy'
import { client } from './client.ts'
import { keys } from './keys.ts'

export type PolicySettings = Awaited<ReturnType<typeof client.native.policy.getPolicySettings>>
export type PolicyBundles = Awaited<ReturnType<typeof client.jobs.policyBundles.listPolicyBundles>>
export type PolicyAnswer = Awaited<ReturnType<typeof client.jobs.policyBundles.simulatePolicyBundle>>

/** Bundle ids hold a `/`, which a path writes as `~`. */
const inPath = (id: string) => id.replaceAll('/', '~')

export function usePolicySettings() {
  return useQuery({
    queryKey: [...keys.policy, 'settings'],
    refetchInterval: 30_000,
    queryFn: ({ signal }) => client.native.policy.getPolicySettings({ signal }),
  })
}

export function useSetDefaultDecision() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (defaultDecision: PolicySettings['defaultDecision'] | null) =>
      client.native.policy.putPolicySettings({ body: { defaultDecision } }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.policy }),
  })
}

/** The rules in force, in the order in which they are asked. */
export function usePolicyRules() {
  return useQuery({
    queryKey: [...keys.policy, 'rules'],
    queryFn: ({ signal }) => client.jobs.policyBundles.listPolicyRules({ signal }),
  })
}

export function usePolicyBundles() {
  return useQuery({
    queryKey: [...keys.policy, 'bundles'],
    queryFn: ({ signal }) => client.jobs.policyBundles.listPolicyBundles({ signal }),
  })
}

export function useSaveBundle() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: ({ id, ...body }: { id: string; content: string; message?: string }) =>
      client.jobs.policyBundles.putPolicyBundle({ params: { id: inPath(id) }, body }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.policy }),
  })
}

export function usePublish() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: ({ id, message }: { id: string; message: string }) =>
      client.jobs.policyBundles.publishPolicy({
        body: { bundle_ids: [id], ...(message === '' ? {} : { message }) },
      }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.policy }),
  })
}

export function useRollback() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (snapshotId: string) => client.jobs.policyBundles.rollbackPolicy({ body: { snapshot_id: snapshotId } }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.policy }),
  })
}

/** What the set would say of a job with the draft in place of one bundle. */
export function simulate(id: string, content: string, request: PolicyCheckBody): Promise<PolicyAnswer> {
  return client.jobs.policyBundles.simulatePolicyBundle({ params: { id: inPath(id) }, body: { request, content } })
}

/** A draft tried on what was really decided; an answer that is not complete goes on with its cursor. */
export function whatIf(body: WhatIfBody, signal: AbortSignal): Promise<WhatIfReply> {
  return client.native.policy.policyWhatIf({ body, signal })
}

export function usePolicyHistory() {
  return useQuery({
    queryKey: [...keys.policy, 'history'],
    queryFn: async ({ signal }) => {
      const [audit, snapshots] = await Promise.all([
        client.jobs.policyBundles.listPolicyAudit({ query: { include_edits: 'true' }, signal }),
        client.jobs.policyBundles.listBundleSnapshots({ signal }),
      ])
      return { audit: audit.items, snapshots: snapshots.items }
    },
  })
}
