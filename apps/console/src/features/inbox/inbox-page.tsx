import { Inbox } from 'lucide-react'
import { useApprovals } from '../../api/jobs.ts'
import { usePageName } from '../../app/crumbs.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { plural } from '../../ui/age.ts'
import { Keys } from '../../ui/kbd.tsx'
import { Page, PageHeader } from '../../ui/page.tsx'
import { EmptyState, PartialLine, SkeletonRows, StaleLine } from '../../ui/states.tsx'
import { AskList } from './ask-list.tsx'
import { useAsks } from './use-asks.ts'

/** What waits for a decision, and what would it do? */
export function InboxPage() {
  usePageName({ label: 'Inbox' })
  const approvals = useApprovals()
  const [url, setUrl] = useUrlState()
  const items = approvals.data?.items ?? []
  const asks = useAsks(items, url['job'], (job) => setUrl({ job }))
  const gone = approvals.data && url['job'] && !items.some((item) => item.job_id === url['job'])
  return (
    <Page scroll>
      <PageHeader
        title="Inbox"
        count={
          approvals.data
            ? items.length === 0
              ? ''
              : `${plural(items.length, 'decision')} ${items.length === 1 ? 'waits' : 'wait'}`
            : ''
        }
      >
        <span className="flex-1" />
        {items.length > 0 && (
          <span className="flex items-center gap-3 text-s2 text-ink-3 narrow:hidden">
            <span className="flex items-center gap-1.5">
              <Keys keys="j" /> <Keys keys="k" /> move
            </span>
            <span className="flex items-center gap-1.5">
              <Keys keys="a" /> approve
            </span>
            <span className="flex items-center gap-1.5">
              <Keys keys="r" /> reject
            </span>
          </span>
        )}
      </PageHeader>
      {approvals.data && approvals.isError && (
        <StaleLine
          since={approvals.dataUpdatedAt}
          why="The inbox could not be read anew."
          onRetry={() => void approvals.refetch()}
        />
      )}
      {approvals.data?.more && (
        <PartialLine>The newest 100 are here. Older ones appear as these are decided.</PartialLine>
      )}
      {gone && <PartialLine>The request of the link does not wait any more.</PartialLine>}
      <div className="border-t border-line-1">
        {approvals.isPending ? (
          <SkeletonRows rows={6} height={56} />
        ) : approvals.isError && !approvals.data ? (
          <FailureView error={approvals.error} what="the inbox" onRetry={() => void approvals.refetch()} />
        ) : items.length === 0 ? (
          <EmptyState icon={Inbox} title="Nothing waits for you">
            Where a rule asks for a person, the request stands here with its exact arguments, and what it would do.
          </EmptyState>
        ) : (
          <AskList items={items} asks={asks} onOpen={(job) => setUrl({ job })} />
        )}
      </div>
    </Page>
  )
}
