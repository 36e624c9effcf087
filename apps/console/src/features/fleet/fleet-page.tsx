import { useNavigate } from '@tanstack/react-router'
import { ListFilter, Plus, Server } from 'lucide-react'
import { useCallback, useMemo, useState } from 'react'
import { useCpuTrends, useInstances, useLatestMetrics } from '../../api/fleet.ts'
import { useLive } from '../../api/live.ts'
import { usePageName } from '../../app/crumbs.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { count } from '../../ui/age.ts'
import { Button } from '../../ui/button.tsx'
import { DataTable, type Sort } from '../../ui/data-table.tsx'
import { Facets } from '../../ui/facets.tsx'
import { FilterBar } from '../../ui/filter-bar.tsx'
import { EMPTY_QUERY, formatQuery, parseQuery, type Query } from '../../ui/filter-grammar.ts'
import { Segmented } from '../../ui/form.tsx'
import { useNarrow } from '../../ui/measure.ts'
import { Sheet } from '../../ui/overlay.tsx'
import { Page, PageHeader } from '../../ui/page.tsx'
import { EmptyState, NoMatchState, PartialLine, SkeletonRows, StaleLine } from '../../ui/states.tsx'
import { TableFoot } from '../../ui/table-foot.tsx'
import { FleetBulkBar } from './fleet-bulk-bar.tsx'
import { FLEET_COLUMNS } from './fleet-columns.tsx'
import { FleetPeek } from './fleet-peek.tsx'
import {
  FLEET_FIELDS,
  FLEET_FIELD_NAMES,
  fieldOf,
  filterRows,
  fleetFacets,
  fleetRow,
  tightestTerm,
  type FleetRow,
} from './fleet-rows.ts'

const GROUPS = { none: undefined, env: 'environment', provider: 'provider' } as const
type Group = keyof typeof GROUPS
const rowId = (row: FleetRow) => row.id

/** Which machines do I have and how are they? */
export function FleetPage() {
  usePageName({ label: 'Fleet' }, { label: 'Instances' })
  const [url, setUrl] = useUrlState()
  const navigate = useNavigate()
  const narrow = useNarrow()
  const live = useLive()
  const list = useInstances()
  const latest = useLatestMetrics()
  const trends = useCpuTrends()
  const [selection, setSelection] = useState<ReadonlySet<string>>(new Set())
  const [filters, setFilters] = useState(false)

  const query = useMemo(() => parseQuery(url['q'] ?? '', FLEET_FIELD_NAMES), [url])
  const setQuery = useCallback((next: Query) => setUrl({ q: formatQuery(next, FLEET_FIELD_NAMES) }), [setUrl])
  const sort: Sort = { id: (url['sort'] ?? 'status').replace(/^-/, ''), desc: (url['sort'] ?? '').startsWith('-') }
  const group: Group = url['group'] === 'env' || url['group'] === 'provider' ? url['group'] : 'none'

  const rows = useMemo(
    () => (list.data?.instances ?? []).map((instance) => fleetRow(instance, latest.data, trends.data)),
    [list.data, latest.data, trends.data],
  )
  const shown = useMemo(() => filterRows(rows, query), [rows, query])
  const facets = useMemo(() => fleetFacets(rows, query), [rows, query])
  const fields = useMemo(
    () =>
      FLEET_FIELDS.map((field) => ({
        ...field,
        values: facets.find((facet) => facet.field === field.field)?.options.map((option) => option.value) ?? [],
      })),
    [facets],
  )
  const open = useCallback((row: FleetRow) => void navigate({ to: '/fleet/$id', params: { id: row.id } }), [navigate])
  const groupOf = useMemo(
    () => (group === 'none' ? undefined : (row: FleetRow) => fieldOf(row, group) ?? `No ${GROUPS[group]}`),
    [group],
  )
  const total = list.data?.total ?? 0
  const selected = useMemo(() => rows.filter((row) => selection.has(row.id)), [rows, selection])
  const peeked = rows.find((row) => row.id === url['peek'])
  const asked = query.terms.length + (query.text ? 1 : 0)

  const tightest = asked > 0 && shown.length === 0 ? tightestTerm(rows, query) : undefined
  const tightestFilter = tightest && query.terms[tightest.index]
  const empty = list.data && (
    <>
      {rows.length === 0 ? (
        <EmptyState
          icon={Server}
          title="No instances here yet"
          acts={
            <Button
              tone="primary"
              size="sm"
              icon={Plus}
              onClick={() => void navigate({ to: '/admin', search: { tab: 'hosts' } })}
            >
              Add a host
            </Button>
          }
        >
          Every machine that runs the Wheelhouse agent stands here with its state, its figures and its logs.
        </EmptyState>
      ) : (
        <NoMatchState
          what="instance"
          filters={asked}
          tightest={
            tightest &&
            tightestFilter && {
              words: `${tightestFilter.field} ${tightestFilter.values.join(' or ')}`,
              without: tightest.without,
              drop: () => setQuery({ ...query, terms: query.terms.filter((term) => term !== tightestFilter) }),
            }
          }
          onClear={() => setQuery(EMPTY_QUERY)}
        />
      )}
    </>
  )

  return (
    <Page>
      <PageHeader title="Instances" count={list.data ? `${count(shown.length)} of ${count(total)}` : ''}>
        {!narrow && (
          <Segmented
            label="Group"
            value={group}
            onChange={(value) => setUrl({ group: value === 'none' ? undefined : value })}
            options={[
              { value: 'none', label: 'Flat' },
              { value: 'env', label: 'Environment' },
              { value: 'provider', label: 'Provider' },
            ]}
          />
        )}
        <FilterBar
          label="Filter instances"
          query={query}
          onChange={setQuery}
          fields={fields}
          placeholder="Filter by name, place, tag"
        />
        {narrow && (
          <Button icon={ListFilter} onClick={() => setFilters(true)}>
            Filters {query.terms.length > 0 && query.terms.length}
          </Button>
        )}
        {(!narrow || total === 0) && (
          <Button tone="primary" icon={Plus} onClick={() => void navigate({ to: '/admin', search: { tab: 'hosts' } })}>
            Add a host
          </Button>
        )}
      </PageHeader>
      {list.data && list.isError && (
        <StaleLine
          since={list.dataUpdatedAt}
          why="The list could not be read anew."
          onRetry={() => void list.refetch()}
        />
      )}
      {list.data && total > rows.length && (
        <PartialLine>
          The newest {count(rows.length)} of {count(total)} are here. Filters and counts speak of these.
        </PartialLine>
      )}
      {latest.isError && (
        <PartialLine onRetry={() => void latest.refetch()}>
          Figures did not come. States and names are current.
        </PartialLine>
      )}
      <div className="flex min-h-0 flex-1 border-t border-line-1">
        {!narrow && (
          <Facets
            className="w-(--facets-w) flex-none border-r border-line-1"
            facets={facets}
            query={query}
            onChange={setQuery}
          />
        )}
        <div className="relative flex min-w-0 flex-1 flex-col">
          {list.isPending ? (
            <SkeletonRows rows={14} />
          ) : list.isError && !list.data ? (
            <FailureView error={list.error} what="the fleet" onRetry={() => void list.refetch()} />
          ) : (
            <DataTable
              label="Instances"
              rows={shown}
              rowId={rowId}
              columns={FLEET_COLUMNS}
              sort={sort}
              onSort={(next) => setUrl({ sort: `${next.desc ? '-' : ''}${next.id}` })}
              selection={selection}
              onSelect={setSelection}
              onOpen={open}
              onPeek={(row) => setUrl({ peek: url['peek'] === row.id ? undefined : row.id })}
              rowKeys={[
                {
                  keys: 'e',
                  label: 'Run a command there',
                  run: (row) => void navigate({ to: '/fleet/$id', params: { id: row.id }, search: { tab: 'command' } }),
                },
              ]}
              groupOf={groupOf}
              groupTitle={(name, members) => ({ title: name, note: count(members.length) })}
              question={`${url['q']} ${group}`}
              padEnd={selection.size > 0 ? 64 : 0}
              empty={empty}
            />
          )}
          <TableFoot
            count={`${count(shown.length)} ${shown.length === 1 ? 'row' : 'rows'}`}
            fresh={Math.max(list.dataUpdatedAt, live.heardAt ?? 0) || undefined}
            live={live.open.fleet}
            keys={[
              ['x', 'select'],
              ['space', 'peek'],
              ['enter', 'open'],
              ['e', 'run command'],
            ]}
          />
          <FleetBulkBar rows={selected} onClear={() => setSelection(new Set())} />
        </div>
        {peeked && <FleetPeek row={peeked} onClose={() => setUrl({ peek: undefined })} onOpen={() => open(peeked)} />}
      </div>
      <Sheet open={filters} onOpenChange={setFilters} title="Filters" side="bottom">
        <Facets facets={facets} query={query} onChange={setQuery} />
      </Sheet>
    </Page>
  )
}
