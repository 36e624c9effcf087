import type { WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { useTimeline } from '../../api/workflows.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { Feed } from '../../ui/feed.tsx'
import { SkeletonRows } from '../../ui/states.tsx'
import { eventStatus, eventWords, hasEnded, type PlanShape } from './run-words.ts'

/** What happened in the run, the newest first. */
export function RunTimeline(props: { run: WorkflowRun; plan: PlanShape }) {
  const { run, plan } = props
  // `each[2]` is an item of the step `each`.
  const nameOf = (key: string) => {
    const [, id = key, item = ''] = /^(.*?)(\[\d+\])?$/.exec(key) ?? []
    const name = plan.nodes.find((node) => node.id === id)?.name
    return name ? `${name}${item && ` ${item}`}` : key
  }
  const timeline = useTimeline(run.id, !hasEnded(run.status))
  if (timeline.isPending) return <SkeletonRows rows={8} />
  if (!timeline.data)
    return <FailureView error={timeline.error} what="the timeline" onRetry={() => void timeline.refetch()} />
  return (
    <div className="py-4 wide:px-2">
      <Feed
        label="Timeline"
        entries={timeline.data.toReversed().map((event, index) => ({
          id: String(event.seq ?? index),
          at: event.time,
          status: eventStatus(event.type, event.status),
          words: (
            <>
              <b>{event.step_id ? nameOf(event.step_id) : 'The run'}</b> {eventWords(event.type, event.status)}{' '}
              {event.message && event.type !== 'step_waiting' && <span className="text-ink-3">{event.message}</span>}
            </>
          ),
        }))}
      />
    </div>
  )
}
