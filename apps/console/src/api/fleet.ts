import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { ask } from './client.ts'
import { keys } from './keys.ts'
import type {
  BulkExecution,
  BulkResult,
  Execution,
  FleetPage,
  FleetStats,
  Instance,
  InstanceEvent,
  InstanceStatus,
  LatestMetric,
  LifecycleAction,
  LifecycleResult,
  Log,
  MetricPoint,
  Process,
} from './wire.ts'

const PAGE = 100
/** As many as one person can look through; the documented list has no filter for several values, so the rest is counted, not shown. */
export const MOST_INSTANCES = 2000

export interface InstanceList {
  instances: Instance[]
  total: number
}

/** All instances up to MOST_INSTANCES, page by page. */
export function useInstances() {
  return useQuery({
    queryKey: keys.instances,
    refetchInterval: 60_000,
    queryFn: async ({ signal }): Promise<InstanceList> => {
      const page = (number: number) =>
        ask<FleetPage & { instances: Instance[] }>('fleet', 'GET', '/api/v1/instances', {
          query: { page: number, pageSize: PAGE },
          signal,
        })
      const first = await page(1)
      const instances = new Map(first.instances.map((instance) => [instance.id, instance]))
      const pages = Math.min(first.pagination.totalPages, MOST_INSTANCES / PAGE)
      for (let number = 2; number <= pages; number += 1) {
        for (const instance of (await page(number)).instances) instances.set(instance.id, instance)
      }
      return { instances: [...instances.values()], total: first.pagination.total }
    },
  })
}

export function useFleetStats() {
  return useQuery({
    queryKey: keys.fleetStats,
    refetchInterval: 30_000,
    queryFn: () => ask<FleetStats>('fleet', 'GET', '/api/v1/fleet/stats'),
  })
}

/** The newest figures of every instance, by its id. */
export function useLatestMetrics() {
  return useQuery({
    queryKey: keys.latest,
    refetchInterval: 15_000,
    queryFn: async () => {
      const answer = await ask<{ metrics: LatestMetric[] }>('fleet', 'GET', '/api/v1/metrics/latest')
      return new Map(answer.metrics.map((metric) => [metric.instanceId, metric]))
    },
  })
}

const TREND_SLOTS = 12
const TREND_MS = 3_600_000

/** CPU over the last hour in steps of five minutes, for as many instances as one answer holds. */
export function useCpuTrends() {
  return useQuery({
    queryKey: keys.trends,
    refetchInterval: 60_000,
    queryFn: async () => {
      const to = Date.now()
      const from = to - TREND_MS
      const answer = await ask<{ points: MetricPoint[] }>('fleet', 'GET', '/api/v1/metrics/timeseries/range', {
        query: { from: new Date(from).toISOString(), to: new Date(to).toISOString(), granularity: '5m', limit: 2000 },
      })
      const trends = new Map<string, (number | null)[]>()
      for (const point of answer.points) {
        const trend = trends.get(point.instanceId) ?? Array.from({ length: TREND_SLOTS }, () => null)
        const slot = Math.floor(((Date.parse(point.timestamp) - from) / TREND_MS) * TREND_SLOTS)
        if (slot >= 0 && slot < TREND_SLOTS) trend[slot] = point.cpuPercent
        trends.set(point.instanceId, trend)
      }
      return trends
    },
  })
}

export function useInstance(id: string) {
  const cache = useQueryClient()
  return useQuery({
    queryKey: keys.instance(id),
    refetchInterval: 20_000,
    placeholderData: () =>
      cache.getQueryData<InstanceList>(keys.instances)?.instances.find((instance) => instance.id === id),
    queryFn: () => ask<Instance>('fleet', 'GET', `/api/v1/instances/${encodeURIComponent(id)}`),
  })
}

/** Which verbs the state of the instance allows now. */
export function useLifecycle(id: string) {
  return useQuery({
    queryKey: keys.lifecycle(id),
    queryFn: () =>
      ask<{ status: InstanceStatus; availableActions: LifecycleAction[] }>(
        'fleet',
        'GET',
        `/api/v1/instances/${encodeURIComponent(id)}/lifecycle`,
      ),
  })
}

export const RANGES = {
  '1h': { ms: 3_600_000, granularity: '1m' },
  '6h': { ms: 6 * 3_600_000, granularity: '5m' },
  '24h': { ms: 24 * 3_600_000, granularity: '5m' },
  '7d': { ms: 7 * 24 * 3_600_000, granularity: '1h' },
} as const
export type Range = keyof typeof RANGES

export function useSeries(id: string, range: Range) {
  return useQuery({
    queryKey: keys.series(id, range),
    refetchInterval: range === '1h' ? 30_000 : 120_000,
    placeholderData: keepPreviousData,
    queryFn: async () => {
      const to = Date.now()
      const { ms, granularity } = RANGES[range]
      const answer = await ask<{ points: MetricPoint[] }>('fleet', 'GET', '/api/v1/metrics/timeseries/range', {
        query: {
          instanceId: id,
          from: new Date(to - ms).toISOString(),
          to: new Date(to).toISOString(),
          granularity,
          limit: 2000,
        },
      })
      return { points: answer.points, from: to - ms, to }
    },
  })
}

export function useProcesses(id: string, on: boolean) {
  return useQuery({
    queryKey: keys.processes(id),
    enabled: on,
    refetchInterval: 10_000,
    queryFn: () =>
      ask<{ timestamp: string; processes: Process[] }>(
        'fleet',
        'GET',
        `/api/v1/instances/${encodeURIComponent(id)}/processes`,
      ),
  })
}

export function useInstanceEvents(id: string) {
  return useQuery({
    queryKey: keys.events(id),
    refetchInterval: 30_000,
    queryFn: async () => {
      const answer = await ask<{ events: InstanceEvent[] }>(
        'fleet',
        'GET',
        `/api/v1/instances/${encodeURIComponent(id)}/events`,
        { query: { limit: 100 } },
      )
      return answer.events
    },
  })
}

/** The newest lines that match, oldest first. */
export function useLogs(id: string, search: string, levels: readonly string[]) {
  return useQuery({
    queryKey: keys.logs(id, search, levels.join()),
    placeholderData: keepPreviousData,
    queryFn: async () => {
      const answer = await ask<FleetPage & { logs: Log[] }>(
        'fleet',
        'GET',
        `/api/v1/instances/${encodeURIComponent(id)}/logs`,
        { query: { search, level: levels.join(), pageSize: 500 } },
      )
      return { lines: answer.logs.toReversed(), total: answer.pagination.total }
    },
  })
}

/** Suspends, resumes, destroys or backs up one instance. The answer may be a job that waits for an approval. */
export function useInstanceAction(id: string) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (action: LifecycleAction) =>
      ask<LifecycleResult>('fleet', 'POST', `/api/v1/instances/${encodeURIComponent(id)}/${action}`, { body: {} }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.fleet }),
  })
}

/** The same act on up to 50 instances; each answers for itself. */
export function useBulkAction() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (input: { instanceIds: string[]; action: Exclude<LifecycleAction, 'backup'> }) =>
      ask<BulkResult>('fleet', 'POST', '/api/v1/instances/bulk-action', { body: input }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.fleet }),
  })
}

export interface CommandInput {
  command: string
  args: string[]
  timeoutMs: number
}

/** Runs a command on one instance. `wait=0` asks for the job at once, so that its output can be followed; a server that does not know it answers when the command has ended. */
export function runCommand(instanceId: string, input: CommandInput, signal?: AbortSignal): Promise<Execution> {
  return ask<Execution>('fleet', 'POST', '/api/v1/commands', {
    query: { wait: 0 },
    body: { instanceId, ...input },
    ...(signal ? { signal } : {}),
  })
}

export function readExecution(id: string): Promise<Execution> {
  return ask<Execution>('fleet', 'GET', `/api/v1/commands/${encodeURIComponent(id)}`)
}

/** Commands that ran on one instance, newest first. */
export function useCommandHistory(instanceId: string) {
  return useQuery({
    queryKey: keys.commands(instanceId),
    queryFn: async () =>
      (
        await ask<FleetPage & { executions: Execution[] }>('fleet', 'GET', '/api/v1/commands/history', {
          query: { instanceId, pageSize: 20 },
        })
      ).executions,
  })
}

/** Runs a command on up to 50 instances; each answers for itself. */
export async function runOnMany(instanceIds: readonly string[], input: CommandInput): Promise<BulkExecution[]> {
  const answer = await ask<{ results: BulkExecution[] }>('fleet', 'POST', '/api/v1/commands/bulk', {
    body: { instanceIds, ...input },
  })
  return answer.results
}

export function openTerminal(id: string): Promise<{ sessionId: string; websocketUrl: string }> {
  return ask('fleet', 'POST', `/api/v1/instances/${encodeURIComponent(id)}/terminal`, { body: {} })
}

export function closeTerminal(id: string, sessionId: string): Promise<unknown> {
  return ask('fleet', 'DELETE', `/api/v1/instances/${encodeURIComponent(id)}/terminal/${sessionId}`)
}
