import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { FleetStats, InstanceStatus } from '../../api/wire.ts'
import { count, plural } from '../../ui/age.ts'
import { Sparkline } from '../../ui/sparkline.tsx'
import { StatusShape, type Status } from '../../ui/status.tsx'
import { instanceState } from '../fleet/instance-state.ts'
import type { JobRates, RunsToday } from './home-facts.ts'

/** A few figures in one line, each the way to its page. */
export function HomeStrip(props: {
  stats: FleetStats | undefined
  waits: number | undefined
  rates: JobRates
  runs: RunsToday | undefined
  load: { running: number; waiting: number; paused: number } | undefined
  dead: string | undefined
}) {
  const { stats, rates, runs, load } = props
  const states = Object.entries(stats?.by_status ?? {})
    .map(([status, value]) => ({ ...instanceState({ status: status as InstanceStatus }), value }))
    .filter((state) => state.status !== 'ok' && state.value > 0)
  return (
    <div className="mx-4 grid grid-cols-2 rounded-r3 border border-line-1 bg-surface-2 wide:mx-6 wide:grid-cols-4">
      <Figure
        to="/fleet"
        name="Instances"
        value={stats ? count(stats.by_status.RUNNING ?? 0) : '–'}
        note={stats ? `of ${count(stats.total)} healthy` : ''}
      >
        {states.length === 0
          ? 'none needs care'
          : states.map((state) => (
              <Mark key={state.word} status={state.status} word={state.word} value={state.value} />
            ))}
      </Figure>
      <Figure to="/inbox" name="Decisions" value={props.waits === undefined ? '–' : count(props.waits)} note="wait">
        {props.waits === undefined
          ? 'not yours to take'
          : props.waits === 0
            ? 'the inbox is empty'
            : 'with their exact arguments'}
      </Figure>
      <Figure to="/workflows" name="Runs, 24 h" value={runs ? count(runs.live) : '–'} note="under way">
        {!runs ? (
          'not yours to see'
        ) : (
          <>
            {runs.failed > 0 && <Mark status="failed" word="failed" value={runs.failed} />}
            {runs.waiting > 0 && <Mark status="waiting" word="wait" value={runs.waiting} />}
            <span className="truncate">{count(runs.done)} done</span>
          </>
        )}
      </Figure>
      <Figure
        to={props.dead ? '/jobs/dead' : '/jobs'}
        name="Jobs"
        value={count(load?.running ?? rates.live)}
        note="running"
        end={<Sparkline values={rates.trend} max={Math.max(1, ...rates.trend)} width={64} height={22} />}
      >
        {[
          `${count(load?.waiting ?? rates.queued)} queued`,
          props.dead ?? `${count(rates.failed)} failed in the last hour`,
          load && load.paused > 0 ? plural(load.paused, 'queue paused', 'queues paused') : '',
        ]
          .filter((part) => part !== '')
          .join(', ')}
      </Figure>
    </div>
  )
}

function Figure(props: {
  to: string
  name: string
  value: string
  note: string
  end?: ReactNode
  children: ReactNode
}) {
  return (
    <Link
      to={props.to}
      className="grid min-w-0 grid-cols-[minmax(0,1fr)_auto] content-start items-end gap-x-2.5 gap-y-px border-line-1 px-3.5 pt-[9px] pb-2.5 text-s2 transition-colors duration-(--t-1) not-first:border-l hover:bg-hover narrow:nth-[odd]:border-l-0 narrow:nth-[n+3]:border-t"
    >
      <span className="col-span-full text-ink-2">{props.name}</span>
      <span className="num whitespace-nowrap">
        <b className="text-s6 font-[560] tracking-(--track-tight) text-ink">{props.value}</b>{' '}
        <span className="text-ink-2">{props.note}</span>
      </span>
      <span className="pb-1 narrow:hidden">{props.end}</span>
      <span className="col-span-full flex min-w-0 items-center gap-2 truncate text-ink-2 narrow:whitespace-normal">
        {typeof props.children === 'string' ? (
          <span className="truncate narrow:whitespace-normal">{props.children}</span>
        ) : (
          props.children
        )}
      </span>
    </Link>
  )
}

function Mark(props: { status: Status; word: string; value: number }) {
  return (
    <span className="num inline-flex items-center gap-1" title={props.word}>
      <StatusShape status={props.status} size={12} label={props.word} />
      {props.value}
    </span>
  )
}
