import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { ChildStepRun, WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { client } from './client.ts'
import { keys } from './keys.ts'

const ACTIVE_MS = 2000

/** Definitions, the most recently saved first. */
export function useWorkflows(on = true) {
  return useQuery({
    queryKey: [...keys.workflows, 'list'],
    enabled: on,
    refetchInterval: 30_000,
    queryFn: ({ signal }) => client.jobs.workflows.listWorkflows({ query: { limit: 500 }, signal }),
  })
}

export type WorkflowDefinition = Awaited<ReturnType<typeof client.jobs.workflows.getWorkflow>>

export function useWorkflow(id: string) {
  return useQuery({
    queryKey: [...keys.workflows, 'one', id],
    queryFn: ({ signal }) => client.jobs.workflows.getWorkflow({ params: { id }, signal }),
  })
}

/** The plan that the graph draws; of the newest form, or of the one that a run began with. */
export function usePlan(id: string | undefined, revision?: number) {
  return useQuery({
    queryKey: [...keys.workflows, 'plan', id, revision],
    enabled: id !== undefined,
    queryFn: ({ signal }) =>
      client.native.workflows.workflowPlan({
        params: { id: id ?? '' },
        query: revision === undefined ? {} : { revision },
        signal,
      }),
  })
}

export function useVersions(id: string) {
  return useQuery({
    queryKey: [...keys.workflows, 'versions', id],
    queryFn: ({ signal }) =>
      client.native.workflows.listWorkflowVersions({ params: { id }, query: { pageSize: 50 }, signal }),
  })
}

export function useVersion(id: string, revision: number | undefined) {
  return useQuery({
    queryKey: [...keys.workflows, 'version', id, revision],
    enabled: revision !== undefined,
    queryFn: ({ signal }) =>
      client.native.workflows.getWorkflowVersion({ params: { id, revision: String(revision) }, signal }),
  })
}

/** How the runs of the last days ended, by workflow. */
export function useRunCounts(days: number, on = true) {
  return useQuery({
    queryKey: [...keys.runs, 'counts', days],
    enabled: on,
    refetchInterval: 30_000,
    queryFn: ({ signal }) => client.native.workflows.runCounts({ query: { days }, signal }),
  })
}

interface RunsPage {
  items: WorkflowRun[]
  next_cursor: number | null
}

export function useRuns(filter: { workflow_id?: string; status?: string }) {
  return useInfiniteQuery({
    queryKey: [...keys.runs, 'list', filter],
    refetchInterval: 10_000,
    initialPageParam: undefined as number | undefined,
    maxPages: 20,
    getNextPageParam: (page: RunsPage) => page.next_cursor ?? undefined,
    queryFn: ({ pageParam, signal }): Promise<RunsPage> =>
      client.jobs.runs.listRuns({
        query: { limit: 50, ...filter, ...(pageParam ? { cursor: pageParam } : {}) },
        signal,
      }),
  })
}

const active = (run: WorkflowRun | undefined) =>
  run === undefined || ['pending', 'running', 'waiting'].includes(run.status) ? ACTIVE_MS : false

/** A run; read anew while it goes on, and when a job of it is heard of. */
export function useRun(id: string | undefined) {
  return useQuery({
    queryKey: keys.run(id ?? ''),
    enabled: id !== undefined,
    queryFn: ({ signal }): Promise<WorkflowRun> => client.jobs.runs.getRun({ params: { id: id ?? '' }, signal }),
    refetchInterval: (query) => active(query.state.data),
  })
}

export function useTimeline(id: string, goesOn: boolean) {
  return useQuery({
    queryKey: [...keys.run(id), 'timeline'],
    refetchInterval: goesOn ? ACTIVE_MS : false,
    queryFn: ({ signal }) => client.jobs.runs.getRunTimeline({ params: { id }, query: { limit: 500 }, signal }),
  })
}

export function useWhyRun(id: string, on: boolean) {
  return useQuery({
    queryKey: [...keys.run(id), 'why'],
    enabled: on,
    refetchInterval: on ? 5000 : false,
    queryFn: ({ signal }) => client.native.workflows.whyRun({ params: { id }, signal }),
  })
}

interface ChildrenPage {
  items: ChildStepRun[]
  total: number
}

/** Children of a step beyond the hundred that stand in the run, page by page. */
export function useChildren(id: string, step: string, on: boolean) {
  return useInfiniteQuery({
    queryKey: [...keys.run(id), 'children', step],
    enabled: on,
    initialPageParam: 1,
    getNextPageParam: (page: ChildrenPage, all: ChildrenPage[]) => {
      const read = all.reduce((sum, each) => sum + each.items.length, 0)
      return read < page.total && page.items.length > 0 ? all.length + 1 : undefined
    },
    queryFn: ({ pageParam, signal }): Promise<ChildrenPage> =>
      client.native.workflows.listStepChildren({
        params: { id, step },
        query: { page: pageParam, pageSize: 100 },
        signal,
      }),
  })
}

export function useChat(id: string, on: boolean) {
  return useQuery({
    queryKey: [...keys.run(id), 'chat'],
    enabled: on,
    refetchInterval: on ? 5000 : false,
    queryFn: ({ signal }) => client.jobs.runs.getRunChat({ params: { id }, query: { limit: 100 }, signal }),
  })
}

export function useSay(id: string) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (content: string) => client.jobs.runs.postRunChat({ params: { id }, body: { content } }),
    onSettled: () => cache.invalidateQueries({ queryKey: [...keys.run(id), 'chat'] }),
  })
}

export function useStartRun(id: string) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: ({ input, dryRun }: { input: Record<string, unknown>; dryRun: boolean }) =>
      client.jobs.runs.startRun({ params: { id }, query: dryRun ? { dry_run: 'true' } : {}, body: input }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.runs }),
  })
}

export function useRerun(id: string) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (body: { from_step?: string; dry_run?: boolean; input?: Record<string, unknown> }) =>
      client.jobs.runs.rerunRun({ params: { id }, body }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.runs }),
  })
}

export function useCancelRun(run: { id: string; workflow_id: string }) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: () => client.jobs.runs.cancelRun({ params: { id: run.workflow_id, run_id: run.id } }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.runs }),
  })
}

type Given = Parameters<typeof client.jobs.workflows.saveWorkflow>[0]['body']

/** What is wrong with a definition, and its plan when nothing is. */
export function useValidation(definition: Given | undefined) {
  return useQuery({
    queryKey: [...keys.workflows, 'validation', definition],
    enabled: definition !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) => client.native.workflows.validateWorkflow({ body: definition ?? {}, signal }),
  })
}

export function useSaveWorkflow() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (body: Given) => client.jobs.workflows.saveWorkflow({ body }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.workflows }),
  })
}

export function useDeleteWorkflow(id: string) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: () => client.jobs.workflows.deleteWorkflow({ params: { id } }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.workflows }),
  })
}
