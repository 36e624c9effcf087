import type { ReactNode } from 'react'
import { cx } from './cx.ts'
import { StatusShape, type Status } from './status.tsx'

/** The answer of a page that needs care, with the next act in it. `edge` spans the page under its header; without it, it is a block of its own. */
export function Banner(props: {
  status: Status
  title: ReactNode
  children?: ReactNode
  acts?: ReactNode
  edge?: boolean
}) {
  return (
    <section
      data-status={props.status}
      className={cx(
        'flex flex-none flex-wrap items-center gap-x-3 gap-y-2 bg-st-soft px-3.5 py-2.5 text-s2',
        props.edge ? 'border-b border-st-line' : 'rounded-r3 border border-st-line',
      )}
    >
      <StatusShape status={props.status} size={20} className="self-start" />
      <div className="min-w-48 flex-1">
        <h2 className="text-s4 font-strong">{props.title}</h2>
        {props.children && <div className="text-ink-2">{props.children}</div>}
      </div>
      {props.acts && <div className="flex flex-wrap items-center gap-2">{props.acts}</div>}
    </section>
  )
}

/** Why something waits, was denied or comes again: the state's ground, one or two lines, at the thing itself. */
export function Note(props: { status: Status; children: ReactNode; className?: string }) {
  return (
    <div
      data-status={props.status}
      className={cx(
        'flex items-start gap-2 rounded-r2 bg-st-soft px-2.5 py-1.5 text-s2 text-ink-2 [&_b]:font-medium [&_b]:text-ink',
        props.className,
      )}
    >
      <StatusShape status={props.status} size={14} className="mt-0.5" />
      <div className="min-w-0 flex-1">{props.children}</div>
    </div>
  )
}
