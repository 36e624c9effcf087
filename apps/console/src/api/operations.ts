import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { DeadLetterFilter, JobFilter } from '@wheelhouse/contract/native/bulk'
import { client } from './client.ts'
import { keys } from './keys.ts'

export type Queues = Awaited<ReturnType<typeof client.native.queues.overview>>
export type WorkerRow = Awaited<ReturnType<typeof client.jobs.workers.listWorkers>>[number]
export type DeadLetter = Awaited<ReturnType<typeof client.jobs.dlq.pageDeadLetters>>['items'][number]
export type LockRow = Awaited<ReturnType<typeof client.native.locks.listLocks>>['items'][number]
export type Why = Awaited<ReturnType<typeof client.native.why.whyJob>>
export type TraceSpans = Awaited<ReturnType<typeof client.native.traces.traceSpans>>
export type BulkReply = Awaited<ReturnType<typeof client.native.bulk.cancelJobs>>

/** What waits where, and who would take it. */
export function useQueues(on = true) {
  return useQuery({
    queryKey: keys.queues,
    enabled: on,
    refetchInterval: 5000,
    queryFn: ({ signal }) => client.native.queues.overview({ signal }),
  })
}

export function useQueueChanges() {
  const cache = useQueryClient()
  const onSettled = () => cache.invalidateQueries({ queryKey: keys.queues })
  type Queue = { kind: 'topic' | 'pool'; name: string }
  return {
    pause: useMutation({
      mutationFn: ({ reason, ...params }: Queue & { reason: string }) =>
        client.native.queues.pauseQueue({ params, body: reason === '' ? {} : { reason } }),
      onSettled,
    }),
    resume: useMutation({ mutationFn: (params: Queue) => client.native.queues.resumeQueue({ params }), onSettled }),
  }
}

/** Workers that were heard of within the last half minute. */
export function useWorkers() {
  return useQuery({
    queryKey: [...keys.queues, 'workers'],
    refetchInterval: 5000,
    queryFn: ({ signal }) => client.jobs.workers.listWorkers({ signal }),
  })
}

export function useDrain() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: ({ id, drain }: { id: string; drain: boolean }) =>
      drain
        ? client.native.queues.drainWorker({ params: { id }, body: {} })
        : client.native.queues.undrainWorker({ params: { id } }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.queues }),
  })
}

interface DeadPage {
  items: DeadLetter[]
  next_cursor: number | null
}

/** Jobs that ended without success, newest first. */
export function useDeadLetters(filter: { topic?: string; reason_code?: string }, on = true) {
  return useInfiniteQuery({
    queryKey: [...keys.deadLetters, filter],
    enabled: on,
    refetchInterval: 15_000,
    initialPageParam: undefined as number | undefined,
    maxPages: 20,
    queryFn: ({ pageParam, signal }): Promise<DeadPage> =>
      client.jobs.dlq.pageDeadLetters({
        query: { limit: 100, ...filter, ...(pageParam ? { cursor: pageParam } : {}) },
        signal,
      }),
    getNextPageParam: (page: DeadPage) => page.next_cursor ?? undefined,
  })
}

export function useDeadLetterChanges() {
  const cache = useQueryClient()
  const onSettled = () =>
    Promise.all([
      cache.invalidateQueries({ queryKey: keys.deadLetters }),
      cache.invalidateQueries({ queryKey: keys.jobs }),
    ])
  return {
    retry: useMutation({
      mutationFn: (jobId: string) => client.jobs.dlq.retryDeadLetter({ params: { job_id: jobId } }),
      onSettled,
    }),
    remove: useMutation({
      mutationFn: (jobId: string) => client.jobs.dlq.deleteDeadLetter({ params: { job_id: jobId } }),
      onSettled,
    }),
  }
}

export type BulkAct =
  | { on: 'jobs'; verb: 'cancel' | 'retry' | 'replay'; filter: JobFilter }
  | { on: 'dlq'; verb: 'retry' | 'delete'; filter: DeadLetterFilter }

/** One act on many: without a count it is only counted, with it it begins. */
export function bulk(act: BulkAct, confirmCount?: number): Promise<BulkReply> {
  const how = confirmCount === undefined ? { dryRun: true } : { confirmCount }
  const { bulk: calls } = client.native
  if (act.on === 'dlq') {
    const body = { filter: act.filter, ...how }
    return act.verb === 'retry' ? calls.retryDeadLetters({ body }) : calls.deleteDeadLetters({ body })
  }
  const body = { filter: act.filter, ...how }
  if (act.verb === 'cancel') return calls.cancelJobs({ body })
  return act.verb === 'retry' ? calls.retryJobs({ body }) : calls.replayJobs({ body })
}

/** How far a bulk operation is; read until it has ended. */
export function useBulkOperation(id: string | undefined) {
  return useQuery({
    queryKey: ['bulk', id],
    enabled: id !== undefined,
    queryFn: ({ signal }) => client.native.bulk.getBulk({ params: { id: id ?? '' }, signal }),
    refetchInterval: (query) => (query.state.data?.state === 'running' || !query.state.data ? 1000 : false),
  })
}

export function useLocks() {
  return useQuery({
    queryKey: keys.locks,
    refetchInterval: 5000,
    queryFn: ({ signal }) => client.native.locks.listLocks({ query: { pageSize: 200 }, signal }),
  })
}

export function useReleaseLock() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (hold: { resource: string; owner: string }) => client.jobs.locks.releaseLock({ body: hold }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.locks }),
  })
}

/** What a job waits for and what clears it. */
export function useWhyJob(id: string, on: boolean) {
  return useQuery({
    queryKey: [...keys.job(id), 'why'],
    enabled: on,
    refetchInterval: on ? 5000 : false,
    queryFn: ({ signal }) => client.native.why.whyJob({ params: { id }, signal }),
  })
}

/** The spans of a trace, from what is stored. */
export function useSpans(traceId: string | undefined) {
  return useQuery({
    queryKey: [...keys.trace(traceId ?? ''), 'spans'],
    enabled: Boolean(traceId),
    queryFn: ({ signal }) => client.native.traces.traceSpans({ params: { id: traceId ?? '' }, signal }),
  })
}
