import { Link, useNavigate } from '@tanstack/react-router'
import type { JobFilter } from '@wheelhouse/contract/native/bulk'
import { ListChecks } from 'lucide-react'
import { useCallback, useMemo, useState } from 'react'
import { useJobs } from '../../api/jobs.ts'
import { useLive } from '../../api/live.ts'
import type { BulkAct } from '../../api/operations.ts'
import type { JobRecord } from '../../api/wire.ts'
import { useRefusal } from '../../app/allowed.ts'
import { usePageName } from '../../app/crumbs.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { count, instant } from '../../ui/age.ts'
import { Button } from '../../ui/button.tsx'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { FilterBar } from '../../ui/filter-bar.tsx'
import { EMPTY_QUERY, formatQuery, matches, parseQuery, type Query } from '../../ui/filter-grammar.ts'
import { Page, PageHeader } from '../../ui/page.tsx'
import { EmptyState, NoMatchState, SkeletonRows, StaleLine } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { TableFoot } from '../../ui/table-foot.tsx'
import { Age } from '../../ui/time.tsx'
import { BulkDialog } from './bulk-act.tsx'
import { decisionState, isTerminal, JOB_STATES, jobState, topicWords } from './job-state.ts'
import { JobsNav } from './jobs-nav.tsx'

const FIELDS = [
  { field: 'state', label: 'where it stands', values: JOB_STATES },
  { field: 'topic', label: 'what it is' },
  {
    field: 'decision',
    label: 'what policy said',
    values: ['ALLOW', 'ALLOW_WITH_CONSTRAINTS', 'REQUIRE_APPROVAL', 'THROTTLE', 'DENY'],
  },
  { field: 'rule', label: 'which rule' },
  { field: 'by', label: 'who asked' },
  { field: 'risk', label: 'risk tag' },
]
const NAMES = FIELDS.map((field) => field.field)

const COLUMNS: readonly Column<JobRecord>[] = [
  {
    id: 'state',
    head: 'State, topic',
    narrow: 'name',
    cell: (job) => {
      const { status, word } = jobState(job.state)
      return (
        <span className="flex min-w-0 items-center gap-2">
          <StatusShape status={status} size={14} label={word} />
          <Link
            to="/jobs/$id"
            params={{ id: job.id }}
            className="mono truncate font-medium text-ink hover:underline hover:underline-offset-3"
          >
            {topicWords(job.topic)}
          </Link>
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
    id: 'id',
    head: 'Job',
    width: 124,
    from: 760,
    cell: (job) => (
      <span className="mono" title={job.id}>
        {shortId(job.id)}
      </span>
    ),
  },
  {
    id: 'decision',
    head: 'Decision, rule',
    width: 236,
    from: 860,
    narrow: 'place',
    cell: (job) => {
      const { status, word } = decisionState(job.safety_decision)
      return (
        <span className="flex min-w-0 items-center gap-1.5" title={job.safety_reason}>
          {status !== 'ok' && <StatusShape status={status} size={12} />}
          <span className="truncate">
            {word}
            {job.safety_rule_id && <span className="mono text-ink-3"> {job.safety_rule_id}</span>}
          </span>
        </span>
      )
    },
  },
  {
    id: 'by',
    head: 'Asked by',
    width: 200,
    from: 680,
    cell: (job) => job.actor_id ?? job.principal ?? <span className="text-ink-3">–</span>,
  },
  { id: 'attempts', head: 'Tries', width: 68, right: true, from: 960, cell: (job) => job.attempts ?? 0 },
  {
    id: 'updated',
    head: 'Changed',
    width: 92,
    right: true,
    narrow: 'end',
    cell: (job) => <Age at={instant(job.updated_at)} />,
  },
]
const rowId = (job: JobRecord) => job.id

/** The end of an id tells it apart; its beginning is the time. */
function shortId(id: string): string {
  return id.length > 14 ? `…${id.slice(-12)}` : id
}

const BULK = { cancel: 'Cancel all that match', retry: 'Retry all that match', replay: 'Replay all that match' }

/** What runs, what waits, why? */
export function JobsPage() {
  usePageName({ label: 'Jobs' })
  const [url, setUrl] = useUrlState()
  const navigate = useNavigate()
  const live = useLive()
  const query = useMemo(() => parseQuery(url['q'] ?? '', NAMES), [url])
  const setQuery = useCallback((next: Query) => setUrl({ q: formatQuery(next, NAMES) }), [setUrl])
  const only = (field: string) => {
    const term = query.terms.find((each) => each.field === field && !each.not)
    return term?.values.length === 1 ? (term.values[0] ?? '') : ''
  }
  // One state or one whole topic is the server's to filter; everything else is filtered among what has come.
  const state = only('state')
  const topic = only('topic').startsWith('job.') ? only('topic') : ''
  const jobs = useJobs(state, topic)
  const all = useMemo(() => {
    const byId = new Map<string, JobRecord>()
    for (const page of jobs.data?.pages ?? [])
      for (const job of page.items) if (!byId.has(job.id)) byId.set(job.id, job)
    return [...byId.values()]
  }, [jobs.data])
  const shown = useMemo(
    () =>
      all.filter((job) =>
        matches(
          query,
          (field) =>
            ({
              state: job.state,
              topic: [job.topic ?? '', topicWords(job.topic)],
              decision: job.safety_decision,
              rule: job.safety_rule_id,
              by: [job.actor_id ?? '', job.principal ?? ''],
              risk: job.risk_tags ?? [],
            })[field],
          () => `${job.id} ${job.topic} ${job.trace_id} ${job.actor_id} ${job.safety_reason}`,
        ),
      ),
    [all, query],
  )
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = jobs
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, fetchNextPage])
  const asked = query.terms.length + (query.text ? 1 : 0)
  const refusal = useRefusal()
  const [act, setAct] = useState<BulkAct>()
  const ended = state !== '' && isTerminal(state as JobRecord['state'])
  const filter: JobFilter = {
    ...(state === '' ? {} : { states: [state as JobRecord['state']] }),
    ...(topic === '' ? {} : { topic }),
  }

  return (
    <Page>
      <PageHeader title="Jobs" count={jobs.data ? `${count(shown.length)}${jobs.hasNextPage ? '+' : ''}` : ''}>
        <FilterBar
          label="Filter jobs"
          query={query}
          onChange={setQuery}
          fields={FIELDS}
          placeholder="Filter by state, topic, rule, who asked"
        />
        {(state !== '' || topic !== '') && (
          <span className="ml-auto flex gap-2">
            {(ended ? (['retry', 'replay'] as const) : (['cancel'] as const)).map((verb) => (
              <Button
                key={verb}
                off={refusal('native', 'POST', `/wheelhouse/api/v1/jobs/bulk/${verb}`)}
                onClick={() => setAct({ on: 'jobs', verb, filter })}
              >
                {BULK[verb]}
              </Button>
            ))}
          </span>
        )}
      </PageHeader>
      <JobsNav />
      {jobs.data && jobs.isError && (
        <StaleLine
          since={jobs.dataUpdatedAt}
          why="The list could not be read anew."
          onRetry={() => void jobs.refetch()}
        />
      )}
      <div className="relative flex min-h-0 flex-1 flex-col">
        {jobs.isPending ? (
          <SkeletonRows rows={14} />
        ) : jobs.isError && !jobs.data ? (
          <FailureView error={jobs.error} what="the jobs" onRetry={() => void jobs.refetch()} />
        ) : (
          <DataTable
            label="Jobs"
            rows={shown}
            rowId={rowId}
            columns={COLUMNS}
            serverSorted
            onOpen={(job) => void navigate({ to: '/jobs/$id', params: { id: job.id } })}
            onEnd={more}
            question={url['q'] ?? ''}
            empty={
              asked > 0 && !jobs.hasNextPage ? (
                <NoMatchState what="job" filters={asked} onClear={() => setQuery(EMPTY_QUERY)} />
              ) : (
                <EmptyState icon={ListChecks} title={asked > 0 ? 'None among the newest' : 'No jobs yet'}>
                  {asked > 0
                    ? 'Older ones are being read.'
                    : 'Whatever changes the world is a job: a command, a suspension, a backup, a step of a workflow. The first one stands here as soon as it is asked for.'}
                </EmptyState>
              )
            }
          />
        )}
        <TableFoot
          count={`${count(shown.length)} of ${count(all.length)}${jobs.hasNextPage ? ' read so far' : ''}`}
          fresh={Math.max(jobs.dataUpdatedAt, live.open.jobs ? (live.heardAt ?? 0) : 0) || undefined}
          live={live.open.jobs}
          keys={[
            ['j', 'next'],
            ['k', 'previous'],
            ['enter', 'open'],
          ]}
        />
      </div>
      {act && <BulkDialog act={act} onClose={() => setAct(undefined)} />}
    </Page>
  )
}
