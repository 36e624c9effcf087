import { Link, useNavigate } from '@tanstack/react-router'
import { MailX, RotateCw, Trash2 } from 'lucide-react'
import { useCallback, useMemo, useState } from 'react'
import { useDeadLetterChanges, useDeadLetters, type BulkAct, type DeadLetter } from '../../api/operations.ts'
import { useRefusal } from '../../app/allowed.ts'
import { usePageName } from '../../app/crumbs.ts'
import { failureToast } from '../../app/failure-toast.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { count, plural } from '../../ui/age.ts'
import { BulkBar } from '../../ui/bulk-bar.tsx'
import { Button, IconButton } from '../../ui/button.tsx'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { FilterBar } from '../../ui/filter-bar.tsx'
import { EMPTY_QUERY, formatQuery, parseQuery } from '../../ui/filter-grammar.ts'
import { Page, PageHeader } from '../../ui/page.tsx'
import { EmptyState, NoMatchState, SkeletonRows } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { TableFoot } from '../../ui/table-foot.tsx'
import { Age } from '../../ui/time.tsx'
import { toast } from '../../ui/toast.tsx'
import { BulkDialog } from './bulk-act.tsx'
import { topicWords } from './job-state.ts'
import { JobsNav } from './jobs-nav.tsx'

const FIELDS = [
  { field: 'topic', label: 'what it was' },
  { field: 'code', label: 'why it ended so' },
]
const NAMES = FIELDS.map(({ field }) => field)
const rowId = (letter: DeadLetter) => letter.job_id

/** Jobs that ended without success: why, and again. */
export function DeadLettersPage() {
  usePageName({ label: 'Jobs', to: '/jobs' }, { label: 'Dead letters' })
  const [url, setUrl] = useUrlState()
  const navigate = useNavigate()
  const refusal = useRefusal()
  const [selection, setSelection] = useState<ReadonlySet<string>>(new Set())
  const [act, setAct] = useState<BulkAct>()
  const query = useMemo(() => parseQuery(url['q'] ?? '', NAMES), [url])
  const only = (field: string) => query.terms.find((each) => each.field === field && !each.not)?.values[0]
  const topic = only('topic')
  const code = only('code')
  const letters = useDeadLetters({ ...(topic ? { topic } : {}), ...(code ? { reason_code: code } : {}) })
  const rows = useMemo(() => {
    const byId = new Map<string, DeadLetter>()
    for (const page of letters.data?.pages ?? []) for (const letter of page.items) byId.set(letter.job_id, letter)
    return [...byId.values()]
  }, [letters.data])
  const columns = useMemo(() => COLUMNS, [])
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = letters
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, fetchNextPage])
  const filter = { ...(topic ? { topic } : {}), ...(code ? { reasonCode: code } : {}) }
  const off = refusal('native', 'POST', '/wheelhouse/api/v1/dlq/bulk/retry')
  const chosen = { ids: [...selection].slice(0, 500) }
  const asked = query.terms.length
  return (
    <Page>
      <PageHeader title="Dead letters" count={letters.data ? `${count(rows.length)}${hasNextPage ? '+' : ''}` : ''}>
        <FilterBar
          label="Filter dead letters"
          query={query}
          onChange={(next) => setUrl({ q: formatQuery(next, NAMES) })}
          fields={FIELDS}
          placeholder="Filter by topic, reason"
        />
        <span className="ml-auto flex gap-2">
          <Button
            icon={RotateCw}
            off={off ?? (rows.length === 0 && 'There are none.')}
            onClick={() => setAct({ on: 'dlq', verb: 'retry', filter })}
          >
            Retry {asked > 0 ? 'all that match' : 'all'}
          </Button>
        </span>
      </PageHeader>
      <JobsNav />
      <div className="relative flex min-h-0 flex-1 flex-col">
        {letters.isPending ? (
          <SkeletonRows rows={10} />
        ) : !letters.data ? (
          <FailureView error={letters.error} what="the dead letters" onRetry={() => void letters.refetch()} />
        ) : (
          <DataTable
            label="Dead letters"
            rows={rows}
            rowId={rowId}
            columns={columns}
            serverSorted
            selection={selection}
            onSelect={setSelection}
            onOpen={(letter) => void navigate({ to: '/jobs/$id', params: { id: letter.job_id } })}
            onEnd={more}
            padEnd={selection.size > 0 ? 72 : 0}
            empty={
              asked > 0 ? (
                <NoMatchState
                  what="dead letter"
                  filters={asked}
                  onClear={() => setUrl({ q: formatQuery(EMPTY_QUERY, NAMES) })}
                />
              ) : (
                <EmptyState icon={MailX} title="No dead letters">
                  A job that was denied, failed, timed out or was rejected leaves one here for thirty days.
                </EmptyState>
              )
            }
          />
        )}
        <BulkBar count={selection.size} onClear={() => setSelection(new Set())}>
          <Button
            size="sm"
            icon={RotateCw}
            off={off}
            onClick={() => setAct({ on: 'dlq', verb: 'retry', filter: chosen })}
          >
            Retry {plural(selection.size, 'job')}
          </Button>
          <Button
            size="sm"
            icon={Trash2}
            tone="danger"
            off={off}
            onClick={() => setAct({ on: 'dlq', verb: 'delete', filter: chosen })}
          >
            Remove
          </Button>
        </BulkBar>
        <TableFoot
          count={`${plural(rows.length, 'dead letter')}${hasNextPage ? ' read so far' : ''}`}
          fresh={letters.dataUpdatedAt || undefined}
          keys={[
            ['x', 'select'],
            ['enter', 'open'],
          ]}
        />
      </div>
      {act && (
        <BulkDialog
          act={act}
          onClose={() => {
            setAct(undefined)
            setSelection(new Set())
          }}
        />
      )}
    </Page>
  )
}

const COLUMNS: readonly Column<DeadLetter>[] = [
  {
    id: 'job',
    head: 'Job',
    narrow: 'name',
    cell: (letter) => (
      <span className="flex min-w-0 items-center gap-2">
        <StatusShape
          status={letter.status === 'JOB_STATUS_DENIED' ? 'denied' : 'failed'}
          size={14}
          label={statusWord(letter.status)}
        />
        <Link
          to="/jobs/$id"
          params={{ id: letter.job_id }}
          className="mono truncate font-medium text-ink hover:underline hover:underline-offset-3"
        >
          {topicWords(letter.topic)}
        </Link>
      </span>
    ),
  },
  {
    id: 'reason',
    head: 'Why',
    width: 560,
    narrow: 'place',
    from: 560,
    cell: (letter) => (
      <span className="truncate" title={letter.reason}>
        {letter.reason_code && <span className="mono text-ink">{letter.reason_code}</span>}
        <span className="text-ink-2">
          {letter.reason_code && ' '}
          {letter.reason}
        </span>
      </span>
    ),
  },
  { id: 'tries', head: 'Tries', width: 64, right: true, from: 760, cell: (letter) => letter.attempts ?? 0 },
  { id: 'at', head: 'Ended', width: 84, right: true, narrow: 'end', cell: (letter) => <Age at={letter.created_at} /> },
  { id: 'verbs', head: '', width: 92, right: true, cell: (letter) => <LetterVerbs letter={letter} /> },
]

const statusWord = (status: string | undefined) => (status ?? '').replace('JOB_STATUS_', '').toLowerCase() || 'ended'

function LetterVerbs(props: { letter: DeadLetter }) {
  const { retry, remove } = useDeadLetterChanges()
  const refusal = useRefusal()
  const off = refusal('jobs', 'POST', '/api/v1/dlq/{job_id}/retry')
  const id = props.letter.job_id
  const fail = failureToast('Not done')
  return (
    <span className="inline-flex gap-1">
      <IconButton
        icon={RotateCw}
        size="sm"
        label="Retry"
        disabled={Boolean(off) || retry.isPending}
        onClick={() =>
          void retry
            .mutateAsync(id)
            .then((made) => toast({ status: 'running', title: 'Submitted again', text: made.job_id }), fail)
        }
      />
      <IconButton
        icon={Trash2}
        size="sm"
        label="Remove"
        disabled={Boolean(off) || remove.isPending}
        onClick={() =>
          void remove.mutateAsync(id).then(() => toast({ status: 'off', title: 'Removed', text: id }), fail)
        }
      />
    </span>
  )
}
