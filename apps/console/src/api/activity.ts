import { keepPreviousData, useInfiniteQuery, useMutation } from '@tanstack/react-query'
import { ask } from './client.ts'
import { keys } from './keys.ts'
import type { AuditEntry, FleetPage } from './wire.ts'

export interface ActivityFilter {
  action: string
  resource: string
  from: string
  to: string
}

/** The audit trail, newest first, page by page. */
export function useActivity(filter: ActivityFilter, pageSize = 100) {
  return useInfiniteQuery({
    queryKey: [...keys.audit, filter, pageSize],
    refetchInterval: 30_000,
    placeholderData: keepPreviousData,
    initialPageParam: 1,
    maxPages: 30,
    getNextPageParam: (page: FleetPage) =>
      page.pagination.page < page.pagination.totalPages ? page.pagination.page + 1 : undefined,
    queryFn: ({ pageParam, signal }) =>
      ask<FleetPage & { logs: AuditEntry[] }>('fleet', 'GET', '/api/v1/audit', {
        query: { ...filter, page: pageParam, pageSize },
        signal,
      }),
  })
}

export interface AuditProof {
  valid: boolean
  /** How many rows of the chain were recomputed. */
  checked: number
  hash?: string
  checkpoint?: { seq: number; at: string; keyId: string }
  reason?: string
}

/** Asks the server to recompute the chain around one row and to check the signed checkpoint after it. */
export function useVerify() {
  return useMutation({
    mutationFn: (id: string) =>
      ask<AuditProof>('native', 'POST', `/wheelhouse/api/v1/audit/${encodeURIComponent(id)}/verify`, { body: {} }),
  })
}
