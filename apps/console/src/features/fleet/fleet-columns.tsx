import { Link } from '@tanstack/react-router'
import type { Column } from '../../ui/data-table.tsx'
import { Gauge, Sparkline } from '../../ui/sparkline.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { Age } from '../../ui/time.tsx'
import { statusRank, type FleetRow } from './fleet-rows.ts'

const noData = <span className="text-ink-3">no data</span>

/** The columns of the fleet: shape and name, where, figures, how fresh. */
export const FLEET_COLUMNS: readonly Column<FleetRow>[] = [
  {
    id: 'status',
    head: 'Status, name',
    narrow: 'name',
    value: (row) => `${statusRank(row.status)}${row.instance.name}`,
    cell: (row) => (
      <span className="flex min-w-0 items-center gap-2">
        <StatusShape status={row.status} size={14} label={row.word} />
        <Link
          to="/fleet/$id"
          params={{ id: row.id }}
          className="mono truncate font-medium tracking-[-0.012em] text-ink hover:underline hover:underline-offset-3"
        >
          {row.instance.name}
        </Link>
        {row.status !== 'ok' && (
          <span aria-hidden data-status={row.status} className="text-s1 text-st-text">
            {row.word}
          </span>
        )}
      </span>
    ),
  },
  {
    id: 'place',
    head: 'Place',
    width: 138,
    narrow: 'place',
    from: 680,
    value: (row) => row.place,
    cell: (row) => row.place,
  },
  {
    id: 'cpu',
    head: 'CPU, 1 h',
    width: 124,
    narrow: 'side',
    value: (row) => row.metric?.cpuPercent,
    cell: (row) =>
      row.metric ? (
        <span className="flex items-center gap-2">
          {row.trend && <Sparkline values={row.trend} max={100} alarm={row.metric.cpuPercent >= 95} />}
          <span className="num ml-auto">{Math.round(row.metric.cpuPercent)}%</span>
        </span>
      ) : (
        noData
      ),
  },
  {
    id: 'memory',
    head: 'Memory',
    width: 112,
    from: 820,
    value: (row) => row.metric?.memPercent,
    cell: (row) => <Gauge value={row.metric?.memPercent} />,
  },
  {
    id: 'disk',
    head: 'Disk',
    width: 112,
    from: 820,
    value: (row) => row.metric?.diskPercent,
    cell: (row) => <Gauge value={row.metric?.diskPercent} />,
  },
  {
    id: 'distro',
    head: 'Distribution',
    width: 108,
    from: 1120,
    value: (row) => row.instance.distro ?? undefined,
    cell: (row) => row.instance.distro ?? <span className="text-ink-3">–</span>,
  },
  {
    id: 'created',
    head: 'Age',
    width: 92,
    right: true,
    from: 1120,
    value: (row) => -Date.parse(row.instance.createdAt),
    cell: (row) => <Age at={row.instance.createdAt} />,
  },
  {
    id: 'seen',
    head: 'Seen',
    width: 84,
    right: true,
    narrow: 'end',
    value: (row) => (row.instance.lastHeartbeat ? -Date.parse(row.instance.lastHeartbeat.timestamp) : undefined),
    cell: (row) => <Age at={row.instance.lastHeartbeat?.timestamp ?? row.metric?.timestamp} />,
  },
]
