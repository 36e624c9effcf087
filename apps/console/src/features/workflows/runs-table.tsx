import { Link, useNavigate } from '@tanstack/react-router'
import type { StepRun, WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { Play } from 'lucide-react'
import { useCallback, useMemo } from 'react'
import type { useRuns } from '../../api/workflows.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { instant, plural, span } from '../../ui/age.ts'
import { useNow } from '../../ui/clock.ts'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { EmptyState, SkeletonRows } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { TableFoot } from '../../ui/table-foot.tsx'
import { Age } from '../../ui/time.tsx'
import { hasEnded, runState, stepState } from './run-words.ts'

const rowId = (run: WorkflowRun) => run.id

/** Runs, the most recently changed first: one mark a step, so that the one that failed is seen in the list. */
export function RunsTable(props: { runs: ReturnType<typeof useRuns>; named: boolean }) {
  const { runs, named } = props
  const navigate = useNavigate()
  const now = useNow(1000)
  const rows = useMemo(() => {
    const byId = new Map<string, WorkflowRun>()
    for (const page of runs.data?.pages ?? [])
      for (const run of page.items) if (!byId.has(run.id)) byId.set(run.id, run)
    return [...byId.values()]
  }, [runs.data])
  const columns = useMemo(() => columnsOf(named, now), [named, now])
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = runs
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, fetchNextPage])
  if (runs.isPending) return <SkeletonRows rows={8} />
  if (runs.isError && !runs.data)
    return <FailureView error={runs.error} what="the runs" onRetry={() => void runs.refetch()} />
  return (
    <>
      <DataTable
        label="Runs"
        rows={rows}
        rowId={rowId}
        columns={columns}
        serverSorted
        onOpen={(run) => void navigate({ to: '/runs/$id', params: { id: run.id } })}
        onEnd={more}
        empty={
          <EmptyState icon={Play} title="No runs yet">
            A run stands here from its start on, with the versions, inputs and decisions that it had.
          </EmptyState>
        }
      />
      <TableFoot
        count={`${plural(rows.length, 'run')}${hasNextPage ? ' read so far' : ''}`}
        fresh={runs.dataUpdatedAt || undefined}
        keys={[
          ['j', 'next'],
          ['k', 'previous'],
          ['enter', 'open'],
        ]}
      />
    </>
  )
}

function columnsOf(named: boolean, now: number): readonly Column<WorkflowRun>[] {
  return [
    {
      id: 'run',
      head: 'Run',
      narrow: 'name',
      cell: (run) => {
        const { status, word } = runState(run.status)
        return (
          <span className="flex min-w-0 items-center gap-2">
            <StatusShape status={status} size={14} label={word} />
            <Link
              to="/runs/$id"
              params={{ id: run.id }}
              className="mono truncate font-medium text-ink hover:underline hover:underline-offset-3"
            >
              {named ? run.workflow_id : run.id.slice(-12)}
            </Link>
            {run.dry_run && <span className="text-s1 text-ink-3">dry run</span>}
            {run.rerun_of && (
              <span className="text-s1 text-ink-3">again{run.rerun_step ? ` from ${run.rerun_step}` : ''}</span>
            )}
            {status !== 'ok' && (
              <span aria-hidden data-status={status} className="text-s1 text-st-text">
                {word}
              </span>
            )}
          </span>
        )
      },
    },
    {
      id: 'steps',
      head: 'Steps',
      width: 230,
      from: 620,
      narrow: 'place',
      cell: (run) => <StepMarks run={run} />,
    },
    {
      id: 'by',
      head: 'Started by',
      width: 140,
      from: 860,
      cell: (run) => run.triggered_by || <span className="text-ink-3">–</span>,
    },
    {
      id: 'took',
      head: 'Took',
      width: 90,
      right: true,
      from: 700,
      cell: (run) => {
        const from = instant(run.started_at)
        if (from === undefined) return ''
        return span((hasEnded(run.status) ? (instant(run.completed_at) ?? from) : now) - from)
      },
    },
    {
      id: 'changed',
      head: 'Changed',
      width: 92,
      right: true,
      narrow: 'end',
      cell: (run) => <Age at={instant(run.updated_at)} />,
    },
  ]
}

const MOST = 16

function StepMarks(props: { run: WorkflowRun }) {
  // The order of time: the map of the steps has none that means something.
  const began = (step: StepRun) => instant(step.started_at) ?? Number.POSITIVE_INFINITY
  const steps = Object.entries(props.run.steps ?? {})
    .filter(([key]) => !key.includes('['))
    .toSorted(([, a], [, b]) => (began(a) === began(b) ? 0 : began(a) - began(b)))
  const shown = steps.slice(0, MOST)
  return (
    <span className="flex items-center gap-1">
      {shown.map(([key, step]) => {
        const { status, word } = stepState(step)
        return <StatusShape key={key} status={status} size={12} label={`${key}: ${word}`} />
      })}
      {steps.length > MOST && <span className="num text-s1 text-ink-3">+{steps.length - MOST}</span>}
    </span>
  )
}
