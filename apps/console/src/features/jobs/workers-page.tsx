import { Cpu } from 'lucide-react'
import { useDrain, useWorkers, type WorkerRow } from '../../api/operations.ts'
import { useRefusal } from '../../app/allowed.ts'
import { usePageName } from '../../app/crumbs.ts'
import { failureToast } from '../../app/failure-toast.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { count, instant } from '../../ui/age.ts'
import { Button } from '../../ui/button.tsx'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { Page, PageHeader } from '../../ui/page.tsx'
import { Gauge } from '../../ui/sparkline.tsx'
import { EmptyState, SkeletonRows, StaleLine } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { TableFoot } from '../../ui/table-foot.tsx'
import { Age } from '../../ui/time.tsx'
import { toast } from '../../ui/toast.tsx'
import { JobsNav } from './jobs-nav.tsx'

const COLUMNS: readonly Column<WorkerRow>[] = [
  {
    id: 'worker',
    head: 'Worker',
    narrow: 'name',
    cell: (worker) => (
      <span className="flex min-w-0 items-center gap-2">
        <StatusShape
          status={worker.draining ? 'waiting' : 'ok'}
          size={14}
          label={worker.draining ? 'is drained' : 'takes jobs'}
        />
        <span className="mono truncate font-medium text-ink">{worker.worker_id}</span>
        {worker.draining && <span className="text-s1 text-waiting-text">draining</span>}
      </span>
    ),
  },
  {
    id: 'pool',
    head: 'Pool',
    width: 140,
    narrow: 'place',
    cell: (worker) => <span className="mono truncate">{worker.pool ?? '–'}</span>,
  },
  {
    id: 'jobs',
    head: 'Jobs of slots',
    width: 110,
    right: true,
    from: 520,
    cell: (worker) => (
      <span className="num">
        {count(worker.in_flight ?? worker.active_jobs ?? 0)}
        {worker.max_parallel_jobs ? ` of ${count(worker.max_parallel_jobs)}` : ''}
      </span>
    ),
  },
  {
    id: 'cpu',
    head: 'CPU',
    width: 110,
    from: 760,
    cell: (worker) => <Gauge value={worker.cpu_load ?? null} warnAt={75} failAt={90} />,
  },
  {
    id: 'capabilities',
    head: 'Can do',
    width: 240,
    from: 900,
    cell: (worker) => (
      <span className="truncate" title={worker.capabilities?.join(', ')}>
        {worker.capabilities?.join(', ') ?? <span className="text-ink-3">–</span>}
      </span>
    ),
  },
  {
    id: 'heard',
    head: 'Heard',
    width: 84,
    right: true,
    narrow: 'end',
    cell: (worker) => <Age at={instant(worker.updated_at)} />,
  },
  { id: 'verbs', head: '', width: 108, right: true, narrow: 'verb', cell: (worker) => <Drain worker={worker} /> },
]

/** Who takes jobs: anyone's process that speaks the protocol. */
export function WorkersPage() {
  usePageName({ label: 'Jobs', to: '/jobs' }, { label: 'Workers' })
  const workers = useWorkers()
  return (
    <Page>
      <PageHeader title="Workers" count={workers.data ? count(workers.data.length) : ''} />
      <JobsNav />
      {workers.data && workers.isError && (
        <StaleLine
          since={workers.dataUpdatedAt}
          why="The list could not be read anew."
          onRetry={() => void workers.refetch()}
        />
      )}
      {workers.isPending ? (
        <SkeletonRows rows={8} />
      ) : !workers.data ? (
        <FailureView error={workers.error} what="the workers" onRetry={() => void workers.refetch()} />
      ) : (
        <DataTable
          label="Workers"
          rows={workers.data}
          rowId={(worker) => worker.worker_id}
          columns={COLUMNS}
          serverSorted
          empty={
            <EmptyState icon={Cpu} title="No workers">
              A worker is a process of yours that takes jobs from a topic. Make a key with the subject{' '}
              <code className="mono">job.&gt;</code> under Admin, Your keys, and start one with the worker SDK.
            </EmptyState>
          }
        />
      )}
      <TableFoot count="heard of within 30 s" fresh={workers.dataUpdatedAt || undefined} keys={[]} />
    </Page>
  )
}

function Drain(props: { worker: WorkerRow }) {
  const { worker_id: id, draining = false } = props.worker
  const drain = useDrain()
  const refusal = useRefusal()
  return (
    <Button
      size="sm"
      off={refusal('native', 'POST', '/wheelhouse/api/v1/workers/{id}/drain')}
      busy={drain.isPending}
      title={draining ? 'It is given jobs again' : 'It is given no new jobs and ends what it has'}
      onClick={() =>
        void drain.mutateAsync({ id, drain: !draining }).then(
          () =>
            toast({
              status: draining ? 'ok' : 'waiting',
              title: draining ? 'Takes jobs again' : 'Gets no new jobs',
              text: id,
            }),
          failureToast('Not changed'),
        )
      }
    >
      {draining ? 'Undrain' : 'Drain'}
    </Button>
  )
}
