import type { ReactNode } from 'react'
import { cx } from './cx.ts'

export const STATUSES = ['ok', 'running', 'warning', 'failed', 'waiting', 'denied', 'unknown', 'off'] as const
/** The eight states of the vocabulary; every other state of a domain is written as one of them plus a word. */
export type Status = (typeof STATUSES)[number]

const ink = {
  fill: 'none',
  stroke: 'var(--status-ink)',
  strokeWidth: 1.8,
  strokeLinecap: 'round',
  strokeLinejoin: 'round',
} as const
const line = { fill: 'none', stroke: 'currentColor', strokeLinecap: 'round' } as const

const SHAPES: Record<Status, ReactNode> = {
  ok: (
    <>
      <circle cx="8" cy="8" r="7" fill="currentColor" />
      <path d="M4.9 8.3 7 10.4l4.1-4.7" {...ink} />
    </>
  ),
  running: (
    <>
      <circle cx="8" cy="8" r="6.1" {...line} strokeWidth="2.4" opacity="0.32" />
      <path d="M8 1.9a6.1 6.1 0 0 1 6.1 6.1" {...line} strokeWidth="2.4" className="wh-turn" />
      <circle cx="8" cy="8" r="2.7" fill="currentColor" />
    </>
  ),
  warning: (
    <>
      <path
        d="M8 2.2 14.3 13.3H1.7Z"
        fill="currentColor"
        stroke="currentColor"
        strokeWidth="1.8"
        strokeLinejoin="round"
      />
      <path d="M8 6.3v3M8 11.6v.01" {...ink} />
    </>
  ),
  failed: (
    <>
      <rect x="1.2" y="1.2" width="13.6" height="13.6" rx="2.6" fill="currentColor" />
      <path d="m5.3 5.3 5.4 5.4M10.7 5.3l-5.4 5.4" {...ink} />
    </>
  ),
  waiting: (
    <>
      <path
        d="M8 1.4 14.6 8 8 14.6 1.4 8Z"
        fill="currentColor"
        stroke="currentColor"
        strokeWidth="1.6"
        strokeLinejoin="round"
      />
      <path d="M6.4 6v4M9.6 6v4" {...ink} />
    </>
  ),
  denied: (
    <>
      <circle cx="8" cy="8" r="6" {...line} strokeWidth="2.2" />
      <path d="m3.9 12.1 8.2-8.2" {...line} strokeLinecap="butt" strokeWidth="2.2" />
    </>
  ),
  unknown: (
    <>
      <circle cx="8" cy="8" r="6.2" {...line} strokeLinecap="butt" strokeWidth="1.7" strokeDasharray="2.5 2.37" />
      <path d="M6.4 6.5a1.65 1.65 0 1 1 2.3 1.6c-.5.2-.7.5-.7 1M8 11.1v.01" {...line} strokeWidth="1.5" />
    </>
  ),
  off: (
    <>
      <circle cx="8" cy="8" r="6" {...line} strokeWidth="1.7" />
      <path d="M5.4 8h5.2" {...line} strokeWidth="1.7" />
    </>
  ),
}

/** One of the eight shapes, 12 px in tables, 14 in lists, 16 in titles, 20 in banners. `label` is what a screen reader says; without it the shape is decoration beside its word. */
export function StatusShape(props: {
  status: Status
  size?: 10 | 12 | 14 | 16 | 18 | 20
  label?: string
  className?: string
}) {
  const { status, size = 14, label } = props
  return (
    <svg
      viewBox="0 0 16 16"
      width={size}
      height={size}
      data-status={status}
      className={cx('flex-none text-st', props.className)}
      {...(label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': true })}
    >
      {SHAPES[status]}
    </svg>
  )
}

/** The state in words beside its shape, without a ground. */
export function StatusText(props: { status: Status; children: ReactNode; size?: 12 | 14 | 16; className?: string }) {
  return (
    <span
      data-status={props.status}
      className={cx('inline-flex items-center gap-1.5 font-medium whitespace-nowrap text-st-text', props.className)}
    >
      <StatusShape status={props.status} size={props.size ?? 12} />
      {props.children}
    </span>
  )
}

/** The state of one object, in its title or a list of few. Never a wall of them: healthy rows show the shape alone. */
export function StatusPill(props: { status: Status; children: ReactNode; className?: string }) {
  return (
    <span
      data-status={props.status}
      className={cx(
        'inline-flex h-[22px] items-center gap-[5px] rounded-full bg-st-soft pr-2 pl-1.5 text-s2 font-medium whitespace-nowrap text-st-text',
        'shadow-[inset_0_0_0_1px_color-mix(in_oklab,var(--cl)_55%,transparent)]',
        props.className,
      )}
    >
      <StatusShape status={props.status} size={12} />
      {props.children}
    </span>
  )
}

/** A severity is a letter and a count in a tinted box, never a dot. Medium and below are written plainly. */
export function Severities(props: { critical?: number; high?: number; medium?: number }) {
  const { critical = 0, high = 0, medium = 0 } = props
  if (critical + high + medium === 0) return <span className="text-ink-3">–</span>
  const box = 'num grid h-[17px] min-w-[19px] place-items-center rounded-r1 px-1 text-s1 font-strong'
  return (
    <span className="inline-flex gap-[3px]">
      {critical > 0 && (
        <b data-status="failed" className={cx(box, 'bg-st-soft text-st-text inset-ring inset-ring-st-line')}>
          <span aria-hidden>{critical}C</span>
          <span className="sr-only">{critical} critical</span>
        </b>
      )}
      {high > 0 && (
        <b data-status="warning" className={cx(box, 'bg-st-soft text-st-text inset-ring inset-ring-st-line')}>
          <span aria-hidden>{high}H</span>
          <span className="sr-only">{high} high</span>
        </b>
      )}
      {medium > 0 && (
        <b className={cx(box, 'text-ink-3')}>
          <span aria-hidden>{medium}M</span>
          <span className="sr-only">{medium} medium</span>
        </b>
      )}
    </span>
  )
}
