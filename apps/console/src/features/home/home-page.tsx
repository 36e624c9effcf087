import { Link, useNavigate } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { useMemo } from 'react'
import { useActivity } from '../../api/activity.ts'
import { useFleetStats, useInstances, useLatestMetrics } from '../../api/fleet.ts'
import { useInbox } from '../../api/inbox.ts'
import { useJobs } from '../../api/jobs.ts'
import { useDeadLetters, useQueues } from '../../api/operations.ts'
import { useRunCounts } from '../../api/workflows.ts'
import { useRefusal } from '../../app/allowed.ts'
import { usePageName } from '../../app/crumbs.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { count, instant, plural } from '../../ui/age.ts'
import { Button } from '../../ui/button.tsx'
import { Feed } from '../../ui/feed.tsx'
import { Keys } from '../../ui/kbd.tsx'
import { Card, Page } from '../../ui/page.tsx'
import { EmptyState, PartialLine, SkeletonRows } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { TileMap } from '../../ui/tile-map.tsx'
import { auditWords, shortId } from '../activity/audit-words.ts'
import { AskList } from '../inbox/ask-list.tsx'
import { useAsks } from '../inbox/use-asks.ts'
import { jobState, topicWords } from '../jobs/job-state.ts'
import { HomeBegin } from './home-begin.tsx'
import { deadWords, fleetTiles, headline, heardStats, jobRates, queueLoad, runsToday } from './home-facts.ts'
import { HomeStrip } from './home-strip.tsx'

const SHOWN = 5

/** Is everything all right, and what needs me? */
export function HomePage() {
  usePageName({ label: 'Home' })
  const refusal = useRefusal()
  const navigate = useNavigate()
  const [url, setUrl] = useUrlState()
  const mayDecide = refusal('native', 'GET', '/wheelhouse/api/v1/inbox') === undefined
  const mayAudit = refusal('fleet', 'GET', '/api/v1/audit') === undefined
  const stats = useFleetStats()
  const instances = useInstances()
  const latest = useLatestMetrics()
  const inbox = useInbox(mayDecide)
  const jobs = useJobs('', '')
  const items = useMemo(() => (inbox.data?.items ?? []).slice(0, SHOWN), [inbox.data])
  const asks = useAsks(items, url['item'], (item) => setUrl({ item }))
  const recent = useMemo(() => jobs.data?.pages.flatMap((page) => page.items) ?? [], [jobs.data])
  const rates = useMemo(() => jobRates(recent, Date.now()), [recent])
  const mayRuns = refusal('native', 'GET', '/wheelhouse/api/v1/workflow-runs/counts') === undefined
  const counts = useRunCounts(1, mayRuns)
  const runs = useMemo(() => counts.data && runsToday(counts.data.workflows), [counts.data])
  const queues = useQueues(refusal('native', 'GET', '/wheelhouse/api/v1/queues') === undefined)
  const dead = useDeadLetters({}, refusal('jobs', 'GET', '/api/v1/dlq/page') === undefined)
  const load = useMemo(() => queues.data && queueLoad(queues.data.topics), [queues.data])
  const groups = useMemo(() => fleetTiles(instances.data?.instances ?? [], latest.data), [instances.data, latest.data])
  const waits = inbox.data?.total ?? 0
  const figures = useMemo(() => heardStats(stats.data, instances.data?.instances ?? []), [stats.data, instances.data])
  const said = headline(figures, waits, runs?.failed ?? 0)

  return (
    <Page scroll>
      <header className="px-4 pt-[17px] pb-[13px] wide:px-6">
        <h1 className="text-s7 font-[560] tracking-[-0.022em] text-balance narrow:text-s6">
          {stats.isPending ? <span className="text-ink-3">Looking at the fleet</span> : said.fleet}{' '}
          {waits > 0 && (
            <Link
              to="/inbox"
              className="text-waiting-text underline decoration-waiting-line decoration-2 underline-offset-[5px]"
            >
              {plural(waits, 'decision')} {waits === 1 ? 'waits' : 'wait'} for you.
            </Link>
          )}
        </h1>
        <p className="mt-1 text-ink-2">{said.rest}</p>
      </header>
      <div className="mb-3.5 empty:hidden">
        {stats.isError && (
          <PartialLine onRetry={() => void stats.refetch()}>The fleet's figures could not be read.</PartialLine>
        )}
      </div>
      <HomeStrip
        stats={figures}
        waits={mayDecide ? waits : undefined}
        rates={rates}
        runs={runs}
        load={load}
        dead={deadWords(dead.data?.pages[0])}
      />
      <div className="grid gap-4 p-4 wide:p-6 wide:pt-4 roomy:grid-cols-[minmax(0,1fr)_var(--aside-w)]">
        <div className="flex min-w-0 flex-col gap-4">
          <Card
            title="Needs you"
            note={waits > SHOWN ? `${SHOWN} newest of ${waits}` : undefined}
            end={
              items.length > 0 && (
                <span className="flex items-center gap-1.5 narrow:hidden">
                  <Keys keys="j" /> <Keys keys="k" /> move <Keys keys="a" /> approve <Keys keys="r" /> reject
                </span>
              )
            }
          >
            <div className="border-t border-line-1">
              {mayDecide && inbox.isPending ? (
                <SkeletonRows rows={3} height={56} />
              ) : mayDecide && inbox.isError && !inbox.data ? (
                <FailureView error={inbox.error} what="the inbox" onRetry={() => void inbox.refetch()} />
              ) : items.length === 0 ? (
                <p className="flex items-center gap-2 px-3.5 py-3 text-s2 text-ink-2">
                  <StatusShape status="ok" size={14} /> Nothing needs you.
                </p>
              ) : (
                <AskList items={items} asks={asks} onOpen={(item) => setUrl({ item })} />
              )}
            </div>
          </Card>
          {jobs.data && recent.length === 0 && <HomeBegin instances={instances.data?.instances ?? []} />}
          <Card
            title="Fleet now"
            note="one mark is one instance"
            end={
              <Link to="/fleet" className="font-medium text-accent-text hover:underline">
                All
              </Link>
            }
          >
            {instances.isPending ? (
              <SkeletonRows rows={3} />
            ) : instances.isError && !instances.data ? (
              <FailureView error={instances.error} what="the fleet" onRetry={() => void instances.refetch()} />
            ) : groups.length === 0 ? (
              <EmptyState
                icon={Plus}
                title="No instances here yet"
                acts={
                  <Button
                    size="sm"
                    tone="primary"
                    onClick={() => void navigate({ to: '/admin', search: { tab: 'hosts' } })}
                  >
                    Add a host
                  </Button>
                }
              >
                Run one line on a machine, and it stands here.
              </EmptyState>
            ) : (
              <TileMap groups={groups} onOpen={(id) => void navigate({ to: '/fleet/$id', params: { id } })} />
            )}
          </Card>
        </div>
        <div className="flex min-w-0 flex-col gap-4">
          {mayAudit && <ActivityCard />}
          <Card
            title="Jobs"
            end={
              <Link to="/jobs" className="font-medium text-accent-text hover:underline">
                All
              </Link>
            }
          >
            {jobs.isPending ? (
              <SkeletonRows rows={5} />
            ) : recent.length === 0 ? (
              <p className="border-t border-line-1 px-3.5 py-3 text-s2 text-ink-2">No job has run yet.</p>
            ) : (
              <Feed
                label="Newest jobs"
                entries={recent.slice(0, 6).map((job) => {
                  const { status, word } = jobState(job.state)
                  return {
                    id: job.id,
                    at: instant(job.updated_at) ?? 0,
                    status,
                    words: (
                      <Link to="/jobs/$id" params={{ id: job.id }} className="hover:underline">
                        <span className="mono text-ink">{topicWords(job.topic)}</span> {word.toLowerCase()}
                        {job.actor_id && `, by ${job.actor_id}`}
                      </Link>
                    ),
                  }
                })}
              />
            )}
          </Card>
        </div>
      </div>
    </Page>
  )
}

const NO_FILTER = { action: '', resource: '', from: '', to: '' }

function ActivityCard() {
  const activity = useActivity(NO_FILTER, 10)
  const entries = (activity.data?.pages[0]?.logs ?? []).slice(0, 10)
  return (
    <Card
      title="Activity"
      end={
        <Link to="/activity" className="font-medium text-accent-text hover:underline">
          All
        </Link>
      }
    >
      {activity.isPending ? (
        <SkeletonRows rows={6} />
      ) : activity.isError && !activity.data ? (
        <FailureView error={activity.error} what="the activity" onRetry={() => void activity.refetch()} />
      ) : entries.length === 0 ? (
        <p className="border-t border-line-1 px-3.5 py-3 text-s2 text-ink-2">Nothing has happened yet.</p>
      ) : (
        <Feed
          label="Activity"
          entries={entries.map((entry) => {
            const words = auditWords(entry)
            return {
              id: entry.id,
              at: entry.timestamp,
              status: words.status,
              words: (
                <>
                  <b>{words.who}</b> {words.did} {words.what}{' '}
                  <span className="mono" title={words.id}>
                    {shortId(words.id)}
                  </span>
                </>
              ),
            }
          })}
        />
      )}
      <p className="sr-only">{count(entries.length)} entries</p>
    </Card>
  )
}
