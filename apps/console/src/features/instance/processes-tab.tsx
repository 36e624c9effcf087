import { Cpu } from 'lucide-react'
import { useState } from 'react'
import { useProcesses } from '../../api/fleet.ts'
import type { Process } from '../../api/wire.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { bytes } from '../../ui/age.ts'
import { DataTable, type Column, type Sort } from '../../ui/data-table.tsx'
import { EmptyState, SkeletonRows } from '../../ui/states.tsx'
import { TableFoot } from '../../ui/table-foot.tsx'

const COLUMNS: readonly Column<Process>[] = [
  {
    id: 'name',
    head: 'Process',
    narrow: 'name',
    value: (row) => row.name,
    cell: (row) => <span className="mono text-ink">{row.name}</span>,
  },
  { id: 'pid', head: 'PID', width: 92, right: true, value: (row) => row.pid, cell: (row) => row.pid },
  { id: 'user', head: 'User', width: 132, narrow: 'place', value: (row) => row.user, cell: (row) => row.user },
  { id: 'status', head: 'State', width: 112, from: 640, value: (row) => row.status, cell: (row) => row.status },
  {
    id: 'cpu',
    head: 'CPU, %',
    width: 92,
    right: true,
    narrow: 'side',
    value: (row) => row.cpu_percent,
    cell: (row) => row.cpu_percent.toFixed(1),
  },
  {
    id: 'memory',
    head: 'Memory',
    width: 112,
    right: true,
    narrow: 'end',
    value: (row) => row.memory_bytes,
    cell: (row) => bytes(row.memory_bytes),
  },
]
const rowId = (row: Process) => String(row.pid)

/** The heaviest processes, read anew every ten seconds. */
export function ProcessesTab(props: { id: string }) {
  const processes = useProcesses(props.id, true)
  const [sort, setSort] = useState<Sort>({ id: 'cpu', desc: true })
  if (processes.isPending) return <SkeletonRows rows={10} />
  if (processes.isError && !processes.data) {
    return <FailureView error={processes.error} what="the processes" onRetry={() => void processes.refetch()} />
  }
  return (
    <>
      <DataTable
        label="Processes"
        rows={processes.data?.processes ?? []}
        rowId={rowId}
        columns={COLUMNS}
        sort={sort}
        onSort={setSort}
        empty={
          <EmptyState icon={Cpu} title="No processes were told">
            The agent of this instance sends the heaviest ones when it is connected.
          </EmptyState>
        }
      />
      <TableFoot count={`${processes.data?.processes.length ?? 0} heaviest`} fresh={processes.dataUpdatedAt} />
    </>
  )
}
