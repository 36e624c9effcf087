import { Link, useNavigate } from '@tanstack/react-router'
import { Plus, Workflow as WorkflowIcon } from 'lucide-react'
import { useMemo } from 'react'
import { useRunCounts, useWorkflows, type WorkflowDefinition } from '../../api/workflows.ts'
import { useRefusal } from '../../app/allowed.ts'
import { usePageName } from '../../app/crumbs.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { count, instant } from '../../ui/age.ts'
import { Button } from '../../ui/button.tsx'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { FilterBar } from '../../ui/filter-bar.tsx'
import { EMPTY_QUERY, formatQuery, matches, parseQuery } from '../../ui/filter-grammar.ts'
import { Page, PageHeader } from '../../ui/page.tsx'
import { EmptyState, NoMatchState, SkeletonRows, StaleLine } from '../../ui/states.tsx'
import { StatusShape, type Status } from '../../ui/status.tsx'
import { TableFoot } from '../../ui/table-foot.tsx'
import { Age } from '../../ui/time.tsx'
import { runState } from './run-words.ts'

const FIELDS = [
  { field: 'by', label: 'who made it' },
  { field: 'team', label: 'whose it is' },
]
const NAMES = FIELDS.map(({ field }) => field)

interface Row {
  workflow: WorkflowDefinition
  counts: Readonly<Record<string, number>>
  lastRunAt: string | null
}

const rowId = (row: Row) => row.workflow.id

const COLUMNS: readonly Column<Row>[] = [
  {
    id: 'name',
    head: 'Workflow',
    narrow: 'name',
    cell: ({ workflow, counts }) => (
      <span className="flex min-w-0 items-center gap-2">
        <StatusShape status={stateOf(counts).status} size={14} label={stateOf(counts).word} />
        <Link
          to="/workflows/$id"
          params={{ id: workflow.id }}
          className="truncate font-medium text-ink hover:underline hover:underline-offset-3"
        >
          {workflow.name || workflow.id}
        </Link>
        {workflow.name !== '' && <span className="mono truncate text-ink-3">{workflow.id}</span>}
      </span>
    ),
  },
  {
    id: 'runs',
    head: 'Runs, 7 days',
    width: 220,
    narrow: 'place',
    cell: ({ counts }) => <Counts counts={counts} />,
  },
  {
    id: 'last',
    head: 'Last run',
    width: 100,
    right: true,
    from: 680,
    narrow: 'end',
    cell: ({ lastRunAt }) => (lastRunAt === null ? <span className="text-ink-3">–</span> : <Age at={lastRunAt} />),
  },
  {
    id: 'steps',
    head: 'Steps',
    width: 64,
    right: true,
    from: 860,
    cell: ({ workflow }) => count(Object.keys(workflow.steps).length),
  },
  {
    id: 'version',
    head: 'Version',
    width: 104,
    from: 960,
    cell: ({ workflow }) => (
      <span className="mono">
        {workflow.version || '–'} <span className="text-ink-3">r{workflow.revision}</span>
      </span>
    ),
  },
  {
    id: 'saved',
    head: 'Saved',
    width: 92,
    right: true,
    from: 760,
    cell: ({ workflow }) => <Age at={instant(workflow.updated_at)} />,
  },
]

/** What waits or failed lately is what a list must show. */
function stateOf(counts: Row['counts']): { status: Status; word: string } {
  if (counts['waiting']) return { status: 'waiting', word: 'A run waits' }
  if (counts['running'] || counts['pending']) return { status: 'running', word: 'Runs' }
  if (counts['failed'] || counts['timed_out']) return { status: 'warning', word: 'Runs failed lately' }
  if (Object.keys(counts).length === 0) return { status: 'off', word: 'Did not run lately' }
  return { status: 'ok', word: 'Nothing runs' }
}

function Counts(props: { counts: Row['counts'] }) {
  const shown = (['waiting', 'running', 'failed', 'timed_out', 'succeeded', 'cancelled'] as const).filter(
    (status) => (props.counts[status] ?? 0) > 0,
  )
  if (shown.length === 0) return <span className="text-ink-3">none</span>
  return (
    <span className="flex items-center gap-2.5">
      {shown.map((status) => {
        const { status: shape, word } = runState(status)
        return (
          <span key={status} className="num inline-flex items-center gap-1" title={word}>
            <StatusShape status={shape} size={12} label={word} />
            {count(props.counts[status] ?? 0)}
          </span>
        )
      })}
    </span>
  )
}

/** What ran, what failed, again from here. */
export function WorkflowsPage() {
  usePageName({ label: 'Workflows' })
  const [url, setUrl] = useUrlState()
  const navigate = useNavigate()
  const refusal = useRefusal()
  const workflows = useWorkflows()
  const counts = useRunCounts(7)
  const query = useMemo(() => parseQuery(url['q'] ?? '', NAMES), [url])
  const all = useMemo(() => {
    const byId = new Map((counts.data?.workflows ?? []).map((each) => [each.workflowId, each]))
    return (workflows.data ?? []).map((workflow): Row => {
      const known = byId.get(workflow.id)
      return { workflow, counts: known?.counts ?? {}, lastRunAt: known?.lastRunAt ?? null }
    })
  }, [workflows.data, counts.data])
  const shown = useMemo(
    () =>
      all.filter(({ workflow }) =>
        matches(
          query,
          (field) => ({ by: workflow.created_by, team: workflow.team_id })[field],
          () => `${workflow.id} ${workflow.name} ${workflow.description}`,
        ),
      ),
    [all, query],
  )
  const asked = query.terms.length + (query.text ? 1 : 0)
  const make = (
    <Button
      icon={Plus}
      tone="primary"
      off={refusal('jobs', 'POST', '/api/v1/workflows')}
      onClick={() => void navigate({ to: '/workflows/new' })}
    >
      New workflow
    </Button>
  )
  return (
    <Page>
      <PageHeader title="Workflows" count={workflows.data ? count(shown.length) : ''}>
        <FilterBar
          label="Filter workflows"
          query={query}
          onChange={(next) => setUrl({ q: formatQuery(next, NAMES) })}
          fields={FIELDS}
          placeholder="Filter by name, who made it"
        />
        <span className="ml-auto">{make}</span>
      </PageHeader>
      {workflows.data && workflows.isError && (
        <StaleLine
          since={workflows.dataUpdatedAt}
          why="The list could not be read anew."
          onRetry={() => void workflows.refetch()}
        />
      )}
      <div className="relative flex min-h-0 flex-1 flex-col border-t border-line-1">
        {workflows.isPending ? (
          <SkeletonRows rows={10} />
        ) : workflows.isError && !workflows.data ? (
          <FailureView error={workflows.error} what="the workflows" onRetry={() => void workflows.refetch()} />
        ) : (
          <DataTable
            label="Workflows"
            rows={shown}
            rowId={rowId}
            columns={COLUMNS}
            serverSorted
            onOpen={({ workflow }) => void navigate({ to: '/workflows/$id', params: { id: workflow.id } })}
            question={url['q'] ?? ''}
            empty={
              asked > 0 ? (
                <NoMatchState
                  what="workflow"
                  filters={asked}
                  onClear={() => setUrl({ q: formatQuery(EMPTY_QUERY, NAMES) })}
                />
              ) : (
                <EmptyState icon={WorkflowIcon} title="No workflows yet" acts={make}>
                  A workflow is steps that follow one another: jobs, approvals, waits, choices. Policy decides on every
                  one of them. Packs bring some; the first of your own is made here.
                </EmptyState>
              )
            }
          />
        )}
        <TableFoot
          count={`${count(shown.length)} of ${count(all.length)}`}
          fresh={workflows.dataUpdatedAt || undefined}
          keys={[
            ['j', 'next'],
            ['k', 'previous'],
            ['enter', 'open'],
          ]}
        />
      </div>
    </Page>
  )
}
