import { Link } from '@tanstack/react-router'
import { History } from 'lucide-react'
import type { useDecided } from '../../api/inbox.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { instant } from '../../ui/age.ts'
import { EmptyState, SkeletonRows } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { Age } from '../../ui/time.tsx'
import { askState, askWords } from './ask-words.ts'

/** What was decided, the newest first, each the way to what came of it. */
export function DecidedList(props: { decided: ReturnType<typeof useDecided> }) {
  const { decided } = props
  if (decided.isPending) return <SkeletonRows rows={6} height={44} />
  if (!decided.data)
    return <FailureView error={decided.error} what="the decisions" onRetry={() => void decided.refetch()} />
  if (decided.data.items.length === 0)
    return (
      <EmptyState icon={History} title="Nothing was decided yet">
        Approvals, rejections and what expired stand here with who asked.
      </EmptyState>
    )
  return (
    <ul aria-label="Decided">
      {decided.data.items.map((item) => {
        const { status, word } = askState(item.state)
        const words = (
          <>
            <StatusShape status={status} size={14} />
            <span className={item.kind === 'job' ? 'mono truncate text-ink' : 'truncate text-ink'}>
              {askWords(item)}
            </span>
            <span className="text-ink-2">{word.toLowerCase()}</span>
            <span className="truncate text-ink-3 narrow:hidden">asked by {item.requestedBy || 'nobody named'}</span>
            <Age at={instant(item.decidedAt ?? item.createdAt)} className="ml-auto text-ink-3" suffix=" ago" />
          </>
        )
        const className = 'flex min-h-9 items-center gap-2.5 px-3.5 text-s2 hover:bg-hover pointer-coarse:min-h-11'
        return (
          <li key={item.id} className="border-b border-line-1">
            {item.jobId !== null ? (
              <Link to="/jobs/$id" params={{ id: item.jobId }} className={className}>
                {words}
              </Link>
            ) : item.runId !== null ? (
              <Link
                to="/runs/$id"
                params={{ id: item.runId }}
                search={{ step: item.stepId ?? undefined }}
                className={className}
              >
                {words}
              </Link>
            ) : (
              <span className={className}>{words}</span>
            )}
          </li>
        )
      })}
    </ul>
  )
}
