import { Activity, ShieldCheck, X } from 'lucide-react'
import { useCallback, useMemo } from 'react'
import { useActivity, useVerify } from '../../api/activity.ts'
import { failureOf } from '../../api/failure.ts'
import type { AuditEntry } from '../../api/wire.ts'
import { useRefusal } from '../../app/allowed.ts'
import { usePageName } from '../../app/crumbs.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { count } from '../../ui/age.ts'
import { Note } from '../../ui/banner.tsx'
import { Button, IconButton } from '../../ui/button.tsx'
import { JsonView } from '../../ui/code-block.tsx'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { FilterBar } from '../../ui/filter-bar.tsx'
import { EMPTY_QUERY, formatQuery, matches, parseQuery, type Query } from '../../ui/filter-grammar.ts'
import { useKeys } from '../../ui/keys.tsx'
import { useNarrow } from '../../ui/measure.ts'
import { Sheet } from '../../ui/overlay.tsx'
import { KeyValues, Page, PageHeader, Section } from '../../ui/page.tsx'
import { EmptyState, NoMatchState, SkeletonRows, StaleLine } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { TableFoot } from '../../ui/table-foot.tsx'
import { At } from '../../ui/time.tsx'
import { AUDIT_ACTIONS, auditWords } from './audit-words.ts'

const FIELDS = [
  { field: 'action', label: 'what was done', values: AUDIT_ACTIONS },
  { field: 'resource', label: 'to what kind of thing' },
  { field: 'who', label: 'by whom' },
  { field: 'outcome', label: 'how it ended', values: ['ok', 'denied', 'failed'] },
]
const NAMES = FIELDS.map((field) => field.field)
const rowId = (entry: AuditEntry) => entry.id

const COLUMNS: readonly Column<AuditEntry>[] = [
  {
    id: 'at',
    head: 'When, UTC',
    width: 204,
    narrow: 'place',
    cell: (entry) => <At at={entry.timestamp} className="text-ink-3" />,
  },
  {
    id: 'what',
    head: 'What happened',
    narrow: 'name',
    cell: (entry) => {
      const words = auditWords(entry)
      return (
        <span className="flex min-w-0 items-center gap-2">
          <StatusShape status={words.status} size={12} label={words.status} />
          <span className="truncate">
            <b className="font-medium text-ink">{words.who}</b> {words.did} {words.what}{' '}
            <span className="mono text-ink">{words.id}</span>
          </span>
        </span>
      )
    },
  },
  { id: 'resource', head: 'Kind', width: 132, from: 860, cell: (entry) => entry.resource.replaceAll('_', ' ') },
  {
    id: 'ip',
    head: 'From',
    width: 132,
    from: 960,
    cell: (entry) => <span className="mono">{entry.ipAddress ?? '–'}</span>,
  },
]

/** What happened, when, by whom? */
export function ActivityPage() {
  usePageName({ label: 'Activity' })
  const [url, setUrl] = useUrlState()
  const narrow = useNarrow()
  const query = useMemo(() => parseQuery(url['q'] ?? '', NAMES), [url])
  const setQuery = useCallback((next: Query) => setUrl({ q: formatQuery(next, NAMES) }), [setUrl])
  const single = (field: string) => {
    const term = query.terms.find((each) => each.field === field && !each.not)
    return term?.values.length === 1 ? (term.values[0] ?? '') : ''
  }
  const filter = useMemo(
    () => ({ action: single('action'), resource: single('resource'), from: url['from'] ?? '', to: url['to'] ?? '' }),
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- single reads the query
    [query, url],
  )
  const trail = useActivity(filter)
  const all = useMemo(() => trail.data?.pages.flatMap((page) => page.logs) ?? [], [trail.data])
  const shown = useMemo(
    () =>
      all.filter((entry) =>
        matches(
          query,
          (field) =>
            ({
              action: entry.action,
              resource: entry.resource,
              who: auditWords(entry).who,
              outcome: auditWords(entry).status,
            })[field],
          () => `${entry.resource} ${entry.resourceId} ${auditWords(entry).who} ${entry.action} ${entry.ipAddress}`,
        ),
      ),
    [all, query],
  )
  const total = trail.data?.pages[0]?.pagination.total ?? 0
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = trail
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, fetchNextPage])
  const open = all.find((entry) => entry.id === url['entry'])
  const asked = query.terms.length + (query.text ? 1 : 0)
  const close = () => setUrl({ entry: undefined })

  return (
    <Page>
      <PageHeader title="Activity" count={trail.data ? count(total) : ''}>
        <FilterBar
          label="Filter the activity"
          query={query}
          onChange={setQuery}
          fields={FIELDS}
          placeholder="Filter by who, what, which"
        />
      </PageHeader>
      {trail.data && trail.isError && (
        <StaleLine
          since={trail.dataUpdatedAt}
          why="The trail could not be read anew."
          onRetry={() => void trail.refetch()}
        />
      )}
      <div className="flex min-h-0 flex-1 border-t border-line-1">
        <div className="flex min-w-0 flex-1 flex-col">
          {trail.isPending ? (
            <SkeletonRows rows={14} />
          ) : trail.isError && !trail.data ? (
            <FailureView error={trail.error} what="the audit trail" onRetry={() => void trail.refetch()} />
          ) : (
            <DataTable
              label="Activity"
              rows={shown}
              rowId={rowId}
              columns={COLUMNS}
              serverSorted
              total={total}
              onOpen={(entry) => setUrl({ entry: entry.id })}
              onPeek={(entry) => setUrl({ entry: url['entry'] === entry.id ? undefined : entry.id })}
              onEnd={more}
              question={url['q'] ?? ''}
              empty={
                asked > 0 ? (
                  <NoMatchState what="entry" filters={asked} onClear={() => setQuery(EMPTY_QUERY)} />
                ) : (
                  <EmptyState icon={Activity} title="Nothing has happened yet">
                    Every change, every sign-in and every refusal stands here, chained and signed.
                  </EmptyState>
                )
              }
            />
          )}
          <TableFoot
            count={`${count(shown.length)} of ${count(total)}`}
            fresh={trail.dataUpdatedAt || undefined}
            keys={[
              ['j', 'next'],
              ['k', 'previous'],
              ['space', 'look'],
            ]}
          />
        </div>
        {open && !narrow && (
          <aside
            aria-label="Entry"
            className="wh-appear flex w-[420px] flex-none flex-col overflow-y-auto border-l border-line-1 bg-surface-2"
          >
            <header className="flex items-center gap-2 px-4 pt-3 pb-1">
              <h2 className="truncate text-s4 font-strong">Entry</h2>
              <span className="flex-1" />
              <IconButton icon={X} label="Close the entry" size="sm" onClick={close} />
            </header>
            <EntryView entry={open} onClose={close} />
          </aside>
        )}
      </div>
      {narrow && (
        <Sheet open={Boolean(open)} onOpenChange={close} title="Entry" side="bottom">
          {open && <EntryView entry={open} onClose={close} />}
        </Sheet>
      )}
    </Page>
  )
}

function EntryView(props: { entry: AuditEntry; onClose: () => void }) {
  const { entry } = props
  const words = auditWords(entry)
  const verify = useVerify()
  const refusal = useRefusal()
  useKeys([{ keys: 'escape', label: 'Close the entry', group: 'Page', run: props.onClose }])
  const proof = verify.variables === entry.id ? verify.data : undefined
  const failed = verify.variables === entry.id ? verify.error : null
  return (
    <>
      <p className="px-4 pb-3 text-s2 text-ink-2">
        <b className="font-medium text-ink">{words.who}</b> {words.did} {words.what}{' '}
        <span className="mono text-ink">{words.id}</span>
      </p>
      <Section title="Facts">
        <KeyValues
          rows={[
            { name: 'when', value: <At at={entry.timestamp} /> },
            { name: 'action', value: entry.action, mono: true },
            { name: 'kind', value: entry.resource, mono: true },
            entry.resourceId ? { name: 'id', value: entry.resourceId, mono: true } : undefined,
            entry.userId ? { name: 'user', value: entry.userId, mono: true } : undefined,
            entry.ipAddress ? { name: 'from', value: entry.ipAddress, mono: true } : undefined,
            { name: 'entry', value: entry.id, mono: true },
          ]}
        />
      </Section>
      <Section
        title="Proof"
        end={
          <Button
            size="sm"
            icon={ShieldCheck}
            busy={verify.isPending}
            off={refusal('native', 'POST', '/wheelhouse/api/v1/audit/{id}/verify')}
            onClick={() => verify.mutate(entry.id)}
          >
            Verify
          </Button>
        }
      >
        {proof ? (
          <Note status={proof.valid ? 'ok' : 'failed'}>
            <b>{proof.valid ? 'The chain verifies.' : 'The chain does not verify.'}</b>{' '}
            {proof.valid ? `${count(proof.checked)} entries recomputed` : (proof.reason ?? '')}
            {proof.hash && (
              <>
                , hash <span className="mono break-all">{proof.hash}</span>
              </>
            )}
            {proof.checkpoint && (
              <>
                . Signed checkpoint {proof.checkpoint.seq} of <At at={proof.checkpoint.at} />, key{' '}
                <span className="mono">{proof.checkpoint.keyId}</span>.
              </>
            )}
          </Note>
        ) : failed ? (
          <Note status="failed">{failureOf(failed).message}</Note>
        ) : (
          <p className="text-s2 text-ink-3">
            Each entry holds the hash of the one before it. Verify recomputes them up to the signed checkpoint.
          </p>
        )}
      </Section>
      {entry.metadata && Object.keys(entry.metadata).length > 0 && (
        <Section title="Details">
          <JsonView label="Details" value={entry.metadata} maxHeight={420} />
        </Section>
      )}
    </>
  )
}
