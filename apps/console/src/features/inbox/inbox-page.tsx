import { Check, Inbox, X } from 'lucide-react'
import { useMemo, useState } from 'react'
import { useDecided, useInbox } from '../../api/inbox.ts'
import { usePageName } from '../../app/crumbs.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { count, plural } from '../../ui/age.ts'
import { BulkBar } from '../../ui/bulk-bar.tsx'
import { Button } from '../../ui/button.tsx'
import { Segmented, TextInput } from '../../ui/form.tsx'
import { Keys } from '../../ui/kbd.tsx'
import { useKeys } from '../../ui/keys.tsx'
import { Page, PageHeader } from '../../ui/page.tsx'
import { EmptyState, NoMatchState, PartialLine, SkeletonRows, StaleLine } from '../../ui/states.tsx'
import { AskList } from './ask-list.tsx'
import { bulkRefusal } from './ask-words.ts'
import { DecidedList } from './decided-list.tsx'
import { useAsks } from './use-asks.ts'

const VIEWS = [
  { value: 'all', label: 'All' },
  { value: 'job', label: 'Jobs' },
  { value: 'step', label: 'Steps' },
  { value: 'decided', label: 'Decided' },
] as const

/** What waits for a decision, and what would it do? */
export function InboxPage() {
  usePageName({ label: 'Inbox' })
  const inbox = useInbox()
  const [url, setUrl] = useUrlState()
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set())
  const [reason, setReason] = useState('')
  const view = VIEWS.find(({ value }) => value === url['view'])?.value ?? 'all'
  const decided = useDecided(view === 'decided')
  const items = useMemo(
    () => (inbox.data?.items ?? []).filter(({ kind }) => view === 'all' || kind === view),
    [inbox.data, view],
  )
  const wanted = url['item'] ?? url['job'] ?? url['run']
  const open = (item: string | undefined) => setUrl({ item, job: undefined, run: undefined })
  const asks = useAsks(items, wanted, open)
  const total = inbox.data?.total ?? 0
  const gone =
    inbox.data &&
    wanted &&
    view !== 'decided' &&
    !items.some((item) => [item.id, item.jobId, item.runId].includes(wanted))
  const selected = items.filter(({ id }) => picked.has(id))
  const pick = (id: string) =>
    setPicked((all) => new Set(all.has(id) ? [...all].filter((each) => each !== id) : [...all, id]))
  useKeys(
    [{ keys: 'x', label: 'Select', group: 'Inbox', run: () => asks.open && pick(asks.open.id) }],
    items.length > 0,
  )
  const answerAll = (verdict: 'approve' | 'reject') => {
    void asks.answerAll(selected, verdict, reason.trim())
    setPicked(new Set())
    setReason('')
  }
  return (
    <>
      <Page scroll>
        <PageHeader
          title="Inbox"
          count={total === 0 ? '' : `${plural(total, 'decision')} ${total === 1 ? 'waits' : 'wait'}`}
        >
          <Segmented
            label="What is shown"
            value={view}
            onChange={(next) => setUrl({ view: next === 'all' ? undefined : next })}
            options={VIEWS}
          />
          <span className="flex-1" />
          {items.length > 0 && view !== 'decided' && (
            <span className="flex items-center gap-3 text-s2 text-ink-3 narrow:hidden">
              <span className="flex items-center gap-1.5">
                <Keys keys="j" /> <Keys keys="k" /> move
              </span>
              <span className="flex items-center gap-1.5">
                <Keys keys="x" /> select
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
        {inbox.data && inbox.isError && (
          <StaleLine
            since={inbox.dataUpdatedAt}
            why="The inbox could not be read anew."
            onRetry={() => void inbox.refetch()}
          />
        )}
        {inbox.data && total > inbox.data.items.length && (
          <PartialLine>
            The newest {count(inbox.data.items.length)} of {count(total)} are here. Older ones appear as these are
            decided.
          </PartialLine>
        )}
        {gone && <PartialLine>The request of the link does not wait any more.</PartialLine>}
        <div className={selected.length > 0 ? 'border-t border-line-1 pb-24' : 'border-t border-line-1'}>
          {view === 'decided' ? (
            <DecidedList decided={decided} />
          ) : inbox.isPending ? (
            <SkeletonRows rows={6} height={56} />
          ) : inbox.isError && !inbox.data ? (
            <FailureView error={inbox.error} what="the inbox" onRetry={() => void inbox.refetch()} />
          ) : items.length === 0 && total > 0 && view !== 'all' ? (
            <NoMatchState
              what="request"
              filters={1}
              tightest={{
                words: view === 'job' ? 'Jobs' : 'Steps',
                without: total,
                drop: () => setUrl({ view: undefined }),
              }}
              onClear={() => setUrl({ view: undefined })}
            />
          ) : items.length === 0 ? (
            <EmptyState icon={Inbox} title="Nothing waits for you">
              Where a rule or a step asks for a person, the request stands here with its exact arguments, and what it
              would do.
            </EmptyState>
          ) : (
            <AskList items={items} asks={asks} onOpen={open} selection={picked} onSelect={pick} />
          )}
        </div>
      </Page>
      <BulkBar count={selected.length} onClear={() => setPicked(new Set())}>
        <TextInput
          aria-label="Reason for all of them"
          placeholder="Reason for all of them"
          value={reason}
          onChange={(event) => setReason(event.target.value)}
          className="w-56! narrow:w-36!"
        />
        <Button
          icon={Check}
          tone="primary"
          busy={asks.busy}
          off={asks.off ?? bulkRefusal(selected)}
          onClick={() => answerAll('approve')}
        >
          Approve {selected.length}
        </Button>
        <Button
          icon={X}
          tone="danger"
          busy={asks.busy}
          off={asks.off ?? (reason.trim() === '' ? 'Say why first. Whoever asked reads it.' : undefined)}
          onClick={() => answerAll('reject')}
        >
          Reject {selected.length}
        </Button>
      </BulkBar>
    </>
  )
}
