import { Link } from '@tanstack/react-router'
import type { InboxItem } from '@wheelhouse/contract/native/inbox'

const LOOKS = 'font-medium text-accent-text hover:underline'

/** The way to what asks: the job, or the run at its step. */
export function AskLink(props: { item: InboxItem }) {
  const { item } = props
  if (item.jobId !== null)
    return (
      <Link to="/jobs/$id" params={{ id: item.jobId }} className={LOOKS}>
        Open the job
      </Link>
    )
  if (item.runId === null) return null
  return (
    <Link to="/runs/$id" params={{ id: item.runId }} search={{ step: item.stepId ?? undefined }} className={LOOKS}>
      Open the run
    </Link>
  )
}
