import { Pause, Plus, RotateCw, Terminal } from 'lucide-react'
import { useCallback, useMemo, useState } from 'react'
import { plural } from '../ui/age.ts'
import { BlastChip, reachOf } from '../ui/blast.tsx'
import { BulkBar } from '../ui/bulk-bar.tsx'
import { Button } from '../ui/button.tsx'
import { DataTable, type Column, type Sort } from '../ui/data-table.tsx'
import { Facets } from '../ui/facets.tsx'
import { FilterBar } from '../ui/filter-bar.tsx'
import { matches, parseQuery, type Query } from '../ui/filter-grammar.ts'
import { Page, PageHeader } from '../ui/page.tsx'
import { Gauge, Sparkline } from '../ui/sparkline.tsx'
import { NoMatchState } from '../ui/states.tsx'
import { Severities, StatusShape, type Status } from '../ui/status.tsx'
import { TableFoot } from '../ui/table-foot.tsx'
import { Age } from '../ui/time.tsx'
import { machines, type Machine } from './invented.ts'

const COLUMNS: readonly Column<Machine>[] = [
  {
    id: 'name',
    head: 'Status, name',
    narrow: 'name',
    value: (row) => row.id,
    cell: (row) => (
      <span className="flex min-w-0 items-center gap-2">
        <StatusShape status={row.status} size={14} label={row.word} />
        <a href="#page" className="mono truncate font-medium tracking-[-0.012em] text-ink hover:underline">
          {row.id}
        </a>
        {row.status !== 'ok' && (
          <span data-status={row.status} className="text-s1 text-st-text">
            {row.word}
          </span>
        )}
      </span>
    ),
  },
  {
    id: 'place',
    head: 'Place',
    width: 128,
    narrow: 'place',
    from: 760,
    value: (row) => row.place,
    cell: (row) => row.place,
  },
  {
    id: 'cpu',
    head: 'CPU, 1 h',
    width: 116,
    narrow: 'side',
    value: (row) => row.cpu ?? undefined,
    cell: (row) =>
      row.cpu === null ? (
        <span className="text-ink-3">no data</span>
      ) : (
        <span className="flex items-center gap-2">
          <Sparkline values={row.trend} max={100} alarm={row.status === 'failed'} />
          <span className="num ml-auto">{row.cpu}%</span>
        </span>
      ),
  },
  {
    id: 'memory',
    head: 'Memory',
    width: 102,
    from: 900,
    value: (row) => row.memory ?? undefined,
    cell: (row) => <Gauge value={row.memory} />,
  },
  {
    id: 'disk',
    head: 'Disk',
    width: 102,
    from: 900,
    value: (row) => row.disk ?? undefined,
    cell: (row) => <Gauge value={row.disk} />,
  },
  { id: 'version', head: 'Version', width: 92, from: 820, cell: (row) => <span className="mono">{row.version}</span> },
  {
    id: 'cve',
    head: 'CVEs',
    width: 74,
    narrow: 'end',
    cell: (row) => <Severities critical={row.critical} high={row.high} />,
  },
  { id: 'seen', head: 'Seen', width: 62, right: true, value: (row) => -row.seen, cell: (row) => <Age at={row.seen} /> },
]
const FIELDS = [
  { field: 'status', label: 'state', values: ['ok', 'failed', 'warning', 'running', 'unknown', 'off'] },
  { field: 'env', label: 'environment', values: ['production', 'staging', 'development'] },
  { field: 'provider', label: 'where it runs', values: ['aws', 'gcp', 'hetzner', 'docker'] },
]
const ROWS = machines(10_000)
const ORDER: readonly Status[] = ['failed', 'warning', 'running', 'unknown', 'ok', 'off']

/** A table of ten thousand rows with facets, filters, selection. */
export function TableGallery() {
  const [query, setQuery] = useState<Query>(() => parseQuery('', ['status']))
  const [sort, setSort] = useState<Sort>({ id: 'cpu', desc: true })
  const [selection, setSelection] = useState<ReadonlySet<string>>(new Set())
  const rows = useMemo(
    () =>
      ROWS.filter((row) =>
        matches(
          query,
          (field) => row[field as 'status' | 'env' | 'provider'],
          () => `${row.id} ${row.place}`,
        ),
      ),
    [query],
  )
  const rowId = useCallback((row: Machine) => row.id, [])
  const groupOf = useCallback((row: Machine) => row.env, [])
  const change = useCallback((next: Query) => setQuery(next), [])
  const counts = (field: 'status' | 'env' | 'provider', value: string) =>
    rows.filter((row) => row[field] === value).length
  return (
    <Page>
      <PageHeader title="Instances" count={`${rows.length.toLocaleString('en')} of 10,000`}>
        <FilterBar
          label="Filter instances"
          query={query}
          onChange={change}
          fields={FIELDS}
          placeholder="Filter by name, tag, image"
        />
        <Button tone="primary" icon={Plus}>
          Add instance
        </Button>
      </PageHeader>
      <div className="flex min-h-0 flex-1 border-t border-line-1">
        <Facets
          className="w-(--facets-w) flex-none border-r border-line-1 narrow:hidden"
          query={query}
          onChange={change}
          facets={[
            {
              field: 'status',
              title: 'Status',
              options: ORDER.map((value) => ({ value, count: counts('status', value), status: value })),
            },
            {
              field: 'env',
              title: 'Environment',
              options: ['production', 'staging', 'development'].map((value) => ({
                value,
                count: counts('env', value),
              })),
            },
            {
              field: 'provider',
              title: 'Provider',
              note: '4 known',
              options: ['aws', 'gcp', 'hetzner', 'docker'].map((value) => ({
                value,
                count: counts('provider', value),
              })),
            },
          ]}
        />
        <div className="relative flex min-w-0 flex-1 flex-col">
          <DataTable
            label="Instances"
            rows={rows}
            rowId={rowId}
            columns={COLUMNS}
            sort={sort}
            onSort={setSort}
            selection={selection}
            onSelect={setSelection}
            onOpen={() => {}}
            groupOf={groupOf}
            groupTitle={(group, members) => ({ title: group, note: `${members.length.toLocaleString('en')} match` })}
            question={JSON.stringify(query)}
            padEnd={selection.size > 0 ? 64 : 0}
            empty={
              <NoMatchState
                what="instance"
                filters={query.terms.length + 1}
                onClear={() => setQuery({ terms: [], text: '' })}
              />
            }
          />
          <TableFoot
            count={`${rows.length.toLocaleString('en')} rows`}
            fresh={Date.now()}
            live
            keys={[
              ['x', 'select'],
              ['enter', 'open'],
              ['e', 'run command'],
            ]}
          />
          <BulkBar
            count={selection.size}
            onClear={() => setSelection(new Set())}
            blast={
              <BlastChip
                reach={reachOf(selection.size)}
                words={plural(selection.size, 'instance')}
                undo="undo in 40 s"
              />
            }
          >
            <Button size="sm" tone="primary" icon={Terminal}>
              Run command
            </Button>
            <Button size="sm" icon={RotateCw}>
              Restart
            </Button>
            <Button size="sm" icon={Pause} off="Needs instance:suspend">
              Suspend
            </Button>
          </BulkBar>
        </div>
      </div>
    </Page>
  )
}
