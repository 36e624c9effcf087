import { keepPreviousData, useInfiniteQuery, useMutation } from '@tanstack/react-query'
import { ask, client } from './client.ts'
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

/** Asks the server to recompute the chain and to hold it against the signed checkpoints, and where one row stands in it. */
export function useVerify() {
  return useMutation({ mutationFn: (id: string) => client.native.trail.verifyRow({ params: { id } }) })
}
