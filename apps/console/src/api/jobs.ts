import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { ask } from './client.ts'
import { keys } from './keys.ts'
import type { DecisionRecord, JobDetail, JobRecord } from './wire.ts'

/** Jobs, newest first, page by page. */
export function useJobs(state: string, topic: string) {
  return useInfiniteQuery({
    queryKey: keys.jobList(state, topic),
    refetchInterval: 30_000,
    initialPageParam: undefined as number | undefined,
    maxPages: 20,
    getNextPageParam: (page: { next_cursor: number | null }) => page.next_cursor ?? undefined,
    queryFn: ({ pageParam, signal }) =>
      ask<{ items: JobRecord[]; next_cursor: number | null }>('jobs', 'GET', '/api/v1/jobs', {
        query: { limit: 100, cursor: pageParam, state, topic },
        signal,
      }),
  })
}

export function useJob(id: string, on = true) {
  return useQuery({
    queryKey: keys.job(id),
    enabled: on,
    queryFn: () => ask<JobDetail>('jobs', 'GET', `/api/v1/jobs/${encodeURIComponent(id)}`),
  })
}

/** Every decision policy took about the job, newest first. */
export function useDecisions(id: string) {
  return useQuery({
    queryKey: keys.decisions(id),
    queryFn: () => ask<DecisionRecord[]>('jobs', 'GET', `/api/v1/jobs/${encodeURIComponent(id)}/decisions`),
  })
}

/** The other jobs of the same trace. */
export function useTrace(id: string | undefined) {
  return useQuery({
    queryKey: keys.trace(id ?? ''),
    enabled: Boolean(id),
    queryFn: () => ask<JobRecord[]>('jobs', 'GET', `/api/v1/traces/${encodeURIComponent(id ?? '')}`),
  })
}

export function useCancelJob(id: string) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: () =>
      ask<{ id: string; state: string; reason?: string }>(
        'jobs',
        'POST',
        `/api/v1/jobs/${encodeURIComponent(id)}/cancel`,
        { body: {} },
      ),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.jobs }),
  })
}

export function useRemediate(id: string) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (remediationId: string | undefined) =>
      ask<{ job_id: string }>('jobs', 'POST', `/api/v1/jobs/${encodeURIComponent(id)}/remediate`, {
        body: remediationId ? { remediation_id: remediationId } : {},
      }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.jobs }),
  })
}
