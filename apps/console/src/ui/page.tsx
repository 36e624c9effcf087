import type { ReactNode } from 'react'
import { cx } from './cx.ts'
import { StatusShape, type Status } from './status.tsx'

/** One page's sheet: it fills what the frame leaves. With `scroll`, the sheet itself scrolls; without, its parts do. */
export function Page(props: { children: ReactNode; scroll?: boolean; className?: string }) {
  return (
    <div className={cx('flex min-h-0 flex-1 flex-col', props.scroll && 'overflow-y-auto', props.className)}>
      {props.children}
    </div>
  )
}

/** The head of a list page: its name, a count, its tools. */
export function PageHeader(props: { title: ReactNode; count?: ReactNode; children?: ReactNode; className?: string }) {
  return (
    <header
      className={cx(
        'flex min-h-[54px] flex-none flex-wrap items-center gap-2 px-4 pt-3 pb-2.5 wide:pr-4 wide:pl-5',
        props.className,
      )}
    >
      <h1 className="text-s5 font-strong tracking-(--track-tight) whitespace-nowrap">{props.title}</h1>
      {props.count !== undefined && <span className="num mr-1 text-ink-3">{props.count}</span>}
      {props.children}
    </header>
  )
}

/** The head of one object: shape, name, state, verbs; then one line of facts; then tabs. */
export function ObjectHeader(props: {
  status: Status
  name: ReactNode
  mono?: boolean
  pill?: ReactNode
  verbs?: ReactNode
  facts?: ReactNode
  children?: ReactNode
}) {
  return (
    <header className="flex-none border-b border-line-1 px-4 pt-3.5 wide:pr-4 wide:pl-5">
      <div className="flex flex-wrap items-center gap-2">
        <StatusShape status={props.status} size={16} />
        <h1
          className={cx(
            'min-w-0 truncate font-strong tracking-(--track-tight)',
            props.mono ? 'mono text-s5!' : 'text-s5',
          )}
        >
          {props.name}
        </h1>
        {props.pill}
        <div className="flex flex-1 flex-wrap items-center justify-end gap-2 narrow:basis-full narrow:justify-start">
          {props.verbs}
        </div>
      </div>
      {props.facts}
      {props.children ?? <div className="h-2" />}
    </header>
  )
}

export interface Fact {
  name: string
  value: ReactNode
  mono?: boolean
}

/** One line of facts under an object's name: `env production  place hetzner fsn1`. Facts without a value are left out. */
export function FactsLine(props: { facts: readonly (Fact | false | undefined)[] }) {
  return (
    <dl className="mt-[5px] mb-2 flex flex-wrap items-center gap-x-3.5 gap-y-1 text-s2 text-ink-2">
      {props.facts.map(
        (fact) =>
          fact && (
            <div key={fact.name} className="flex items-baseline gap-1">
              <dt className="text-ink-3">{fact.name}</dt>
              <dd className={cx('text-ink', fact.mono && 'mono')}>{fact.value}</dd>
            </div>
          ),
      )}
    </dl>
  )
}

/** A thing with its own title and life. No card in a card. */
export function Card(props: {
  title: ReactNode
  note?: ReactNode
  end?: ReactNode
  children: ReactNode
  className?: string
  level?: 2 | 3
}) {
  const Heading = props.level === 3 ? 'h3' : 'h2'
  return (
    <section className={cx('flex min-w-0 flex-col rounded-r3 border border-line-1 bg-surface-2', props.className)}>
      <header className="flex min-h-[38px] items-center gap-2 pr-3 pl-3.5">
        <Heading className="font-strong tracking-[-0.003em]">{props.title}</Heading>
        {props.note && <span className="text-ink-2">{props.note}</span>}
        {props.end && <div className="ml-auto flex items-center gap-2 text-s2 text-ink-2">{props.end}</div>}
      </header>
      {props.children}
    </section>
  )
}

/** A titled part of a page or a side panel, set off by a hairline. */
export function Section(props: { title: ReactNode; end?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section className={cx('border-b border-line-1 px-4 py-3 last:border-b-0', props.className)}>
      <header className="mb-1.5 flex items-center gap-2">
        <h2 className="text-s2 font-strong">{props.title}</h2>
        {props.end && <div className="ml-auto text-s2 text-ink-3">{props.end}</div>}
      </header>
      {props.children}
    </section>
  )
}

/** Name and value, one a line. */
export function KeyValues(props: { rows: readonly (Fact | false | undefined)[]; nameWidth?: number }) {
  return (
    <dl
      className="grid text-s2 leading-[23px]"
      style={{ gridTemplateColumns: `${props.nameWidth ?? 104}px minmax(0, 1fr)` }}
    >
      {props.rows.map(
        (row) =>
          row && (
            <div key={row.name} className="contents">
              <dt className="text-ink-3">{row.name}</dt>
              <dd className={cx('min-w-0 break-words text-ink', row.mono && 'mono text-[0.71875rem] leading-[23px]')}>
                {row.value}
              </dd>
            </div>
          ),
      )}
    </dl>
  )
}
