import type { ReactNode } from 'react'
import { cx } from './cx.ts'

/** How far an act reaches: one object, up to 25, more, or a whole environment or stored data. */
export type Reach = 'one' | 'some' | 'many' | 'all'

/** The reach of an act on that many objects. */
export function reachOf(objects: number): Reach {
  return objects <= 1 ? 'one' : objects <= 25 ? 'some' : 'many'
}

const RINGS: Record<Reach, [boolean, boolean]> = {
  one: [false, false],
  some: [true, false],
  many: [true, true],
  all: [true, true],
}

/** Core and two rings: the more of them are drawn, the more an act reaches. */
export function BlastMark(props: { reach: Reach; size?: number }) {
  const [inner, outer] = RINGS[props.reach]
  const ring = (radius: number, on: boolean) => (
    <circle
      cx="8"
      cy="8"
      r={radius}
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      opacity={on ? 1 : 0.35}
      strokeDasharray={on ? undefined : '1.5 1.8'}
    />
  )
  return (
    <svg viewBox="0 0 16 16" width={props.size ?? 15} height={props.size ?? 15} aria-hidden className="flex-none">
      <circle cx="8" cy="8" r={props.reach === 'all' ? 2.6 : 2} fill="currentColor" />
      {ring(4.3, inner)}
      {ring(6.9, outer)}
    </svg>
  )
}

/** Reach, then undo, in words. Neutral: only "no undo" is coloured. */
export function BlastChip(props: { reach: Reach; words: ReactNode; undo?: ReactNode; noUndo?: boolean }) {
  return (
    <span className="inline-flex items-center gap-1.5 text-s2 whitespace-nowrap text-ink-2">
      <BlastMark reach={props.reach} />
      <span>
        {props.words}
        {props.noUndo ? (
          <>
            , <span className="font-medium text-failed-text">no undo</span>
          </>
        ) : (
          props.undo && <>, {props.undo}</>
        )}
      </span>
    </span>
  )
}

export interface Consequence {
  /** Filled fields of the meter, none to four. */
  level: 0 | 1 | 2 | 3 | 4
  words: ReactNode
  more?: ReactNode
  alarm?: boolean
}

/** What an act does, always these four, always in this order. */
export interface Consequences {
  reach: Consequence
  undo: Consequence
  cost: Consequence
  data: Consequence
}

const NAMES = [
  ['reach', 'Reach'],
  ['undo', 'Undo'],
  ['cost', 'Cost'],
  ['data', 'Data'],
] as const

/** The four lines beside every button that changes the world. */
export function ConsequenceLines(props: { of: Consequences; nameWidth?: number }) {
  return (
    <dl
      className="grid gap-y-[7px] text-s2 leading-[18px]"
      style={{ gridTemplateColumns: `${props.nameWidth ?? 50}px minmax(0, 1fr)` }}
    >
      {NAMES.map(([key, name]) => {
        const line = props.of[key]
        return (
          <div key={key} className="contents">
            <dt className="text-ink-3">{name}</dt>
            <dd className="flex gap-1.5 text-pretty text-ink-2 [&_b]:font-medium [&_b]:text-ink">
              <Meter level={line.level} alarm={line.alarm} />
              <span className={cx('min-w-0', line.alarm && 'text-failed-text')}>
                {line.words}
                {line.more && <span className="block">{line.more}</span>}
              </span>
            </dd>
          </div>
        )
      })}
    </dl>
  )
}

/** Four fields, filled as far as it goes. Decoration: the words beside it say the same. */
export function Meter(props: { level: number; alarm?: boolean | undefined }) {
  return (
    <span aria-hidden className="mt-[6.5px] inline-flex flex-none gap-0.5 self-start">
      {[1, 2, 3, 4].map((step) => (
        <i
          key={step}
          data-status={props.alarm ? 'failed' : undefined}
          className={cx(
            'h-[5px] w-[9px] rounded-[1.5px]',
            step <= props.level
              ? props.alarm
                ? 'bg-st'
                : 'bg-ink-2'
              : 'bg-[color-mix(in_oklab,var(--text)_13%,transparent)]',
          )}
        />
      ))}
    </span>
  )
}
