import { History } from 'lucide-react'
import { useInstanceEvents } from '../../api/fleet.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { Feed } from '../../ui/feed.tsx'
import { EmptyState, SkeletonRows } from '../../ui/states.tsx'
import { eventWords } from './event-words.ts'

/** What happened to this instance, newest first. */
export function EventsTab(props: { id: string }) {
  const events = useInstanceEvents(props.id)
  if (events.isPending) return <SkeletonRows rows={8} />
  if (events.isError && !events.data) {
    return <FailureView error={events.error} what="the events" onRetry={() => void events.refetch()} />
  }
  if (events.data?.length === 0) {
    return (
      <EmptyState icon={History} title="Nothing has happened to it yet">
        Deployments, suspensions, backups and lost heartbeats stand here.
      </EmptyState>
    )
  }
  return (
    <div className="min-h-0 flex-1 overflow-y-auto py-4 wide:px-2">
      <Feed
        label="Events"
        entries={(events.data ?? []).map((event) => {
          const { status, word, detail } = eventWords(event)
          return {
            id: event.id,
            at: event.timestamp,
            status,
            words: (
              <>
                <b>{word}</b> {detail}
              </>
            ),
          }
        })}
      />
    </div>
  )
}
