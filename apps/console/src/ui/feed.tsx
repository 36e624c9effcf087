import type { ReactNode } from 'react'
import { At } from './time.tsx'
import { StatusShape, type Status } from './status.tsx'

export interface FeedEntry {
  id: string
  at: string | number
  status: Status
  words: ReactNode
}

/** What happened, newest first: time, shape, one or two lines, joined by a thread. */
export function Feed(props: { entries: readonly FeedEntry[]; label: string }) {
  return (
    <ol aria-label={props.label}>
      {props.entries.map((entry) => (
        <li
          key={entry.id}
          className="relative grid grid-cols-[52px_14px_minmax(0,1fr)] gap-[9px] pr-3 pb-[11px] pl-3.5 text-s2 leading-[17px] text-ink-2 before:absolute before:top-[18px] before:-bottom-px before:left-[81.5px] before:w-px before:bg-line-2 last:before:hidden [&_b]:font-medium [&_b]:text-ink"
        >
          <At at={entry.at} short className="overflow-hidden whitespace-nowrap text-ink-3" />
          <StatusShape status={entry.status} size={14} className="mt-0.5" />
          <div className="min-w-0 [overflow-wrap:anywhere]">{entry.words}</div>
        </li>
      ))}
    </ol>
  )
}
