import { useMemo, useRef, type ReactNode } from 'react'
import { clockTime, span } from './age.ts'
import { cx } from './cx.ts'
import { useNarrow, useWidth } from './measure.ts'
import { StatusShape, type Status } from './status.tsx'

export interface WaterfallBar {
  from: number
  /** Without an end it goes on until now. */
  to?: number | undefined
  status: Status
  /** worked is solid, waited hatched (violet for a person, grey for a slot), planned outlined. */
  kind: 'worked' | 'waited' | 'planned'
  words: string
}

export interface WaterfallRow {
  id: string
  status: Status
  name: ReactNode
  mono?: boolean
  depth?: number
  bars: readonly WaterfallBar[]
  took: ReactNode
}

/** Who did what when: every try is its own bar, the line is now. */
export function Waterfall(props: {
  label: string
  /** What a row stands for. */
  head?: string
  rows: readonly WaterfallRow[]
  now: number
  selected?: string | undefined
  onSelect?: (id: string) => void
}) {
  const { rows, now } = props
  const frame = useRef<HTMLDivElement>(null)
  const width = useWidth(frame)
  const [names, took] = useNarrow() ? [140, 56] : [width >= 1000 ? 300 : 208, 72]
  // A mark of time needs room for its words, and some before the next.
  const marks = width === 0 ? 6 : Math.max(1, Math.min(6, Math.floor((width - names - took) / 84)))
  const columns = { gridTemplateColumns: `${names}px minmax(0, 1fr) ${took}px` }
  const { from, to, ticks } = useMemo(() => extent(rows, now, marks), [rows, now, marks])
  const at = (time: number) => ((time - from) / (to - from)) * 100
  return (
    <div
      ref={frame}
      role="table"
      aria-label={props.label}
      tabIndex={0}
      className="relative min-w-0 overflow-x-auto focus-visible:-outline-offset-2"
    >
      <div className="min-w-[300px]">
        <div
          role="row"
          style={columns}
          className="grid h-7 items-center border-b border-line-1 pr-3.5 text-s1 text-ink-3"
        >
          <span role="columnheader" className="pl-4 wide:pl-5">
            {props.head ?? 'Step'}
          </span>
          <span role="columnheader" className="relative h-full">
            <span className="sr-only">Time</span>
            {ticks.map((tick) => (
              <span
                key={tick}
                aria-hidden
                className={cx(
                  'num absolute top-1.5',
                  at(tick) > 4 && 'translate-x-[-50%]',
                  at(tick) > 95 && 'translate-x-[-100%]',
                )}
                style={{ left: `${at(tick)}%` }}
              >
                {tickWords(tick, to - from)}
              </span>
            ))}
          </span>
          <span role="columnheader" className="text-right">
            Took
          </span>
        </div>
        {rows.map((row) => (
          <div
            key={row.id}
            role="row"
            onClick={props.onSelect && (() => props.onSelect?.(row.id))}
            style={columns}
            className={cx(
              'grid h-[29px] items-center border-b border-line-1 pr-3.5 text-s2 text-ink-2',
              row.id === props.selected
                ? 'bg-selected shadow-[inset_2px_0_0_var(--accent)]'
                : props.onSelect && 'cursor-default hover:bg-hover',
            )}
          >
            <span
              role="cell"
              className="flex min-w-0 items-center gap-[7px] text-ink"
              title={typeof row.name === 'string' ? row.name : undefined}
              style={{ paddingLeft: (names < 200 ? 16 : 20) + (row.depth ?? 0) * (names < 200 ? 12 : 21) }}
            >
              <StatusShape status={row.status} size={12} label={row.status} />
              <span className={cx('truncate', row.mono && 'mono')}>{row.name}</span>
            </span>
            <span role="cell" className="relative h-full border-l border-line-1">
              {ticks.map((tick) => (
                <i
                  key={tick}
                  aria-hidden
                  className="absolute inset-y-0 w-px bg-line-1"
                  style={{ left: `${at(tick)}%` }}
                />
              ))}
              {row.bars.map((bar, index) => {
                const end = bar.to ?? now
                return (
                  <i
                    key={index}
                    role="img"
                    aria-label={`${bar.words}, ${span(end - bar.from)}`}
                    title={`${bar.words}, ${clockTime(bar.from)}, ${span(end - bar.from)}`}
                    data-status={bar.status}
                    className={cx(
                      'absolute top-[8.5px] h-3 min-w-[3px]',
                      bar.to === undefined && bar.kind !== 'planned' ? 'rounded-l-r1' : 'rounded-r1',
                    )}
                    style={{
                      left: `${at(bar.from)}%`,
                      width: `${Math.max(0, at(end) - at(bar.from))}%`,
                      ...barPaint(bar.kind),
                    }}
                  />
                )
              })}
              {now >= from && now <= to && (
                <i
                  aria-hidden
                  data-status="running"
                  className="absolute inset-y-0 w-px bg-st"
                  style={{ left: `${at(now)}%` }}
                />
              )}
            </span>
            <span role="cell" className="num text-right whitespace-nowrap">
              {row.took}
            </span>
          </div>
        ))}
      </div>
    </div>
  )
}

function barPaint(kind: WaterfallBar['kind']) {
  if (kind === 'worked') return { background: 'color-mix(in oklab, var(--c) 78%, var(--surface-1))' }
  if (kind === 'planned') return { boxShadow: 'inset 0 0 0 1px var(--line-2)' }
  return {
    background:
      'repeating-linear-gradient(115deg, color-mix(in oklab, var(--c) 55%, transparent) 0 1.5px, transparent 1.5px 5px)',
    boxShadow: 'inset 0 0 0 1px var(--cl)',
  }
}

const STEPS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 43_200, 86_400].map(
  (seconds) => seconds * 1000,
)

function extent(rows: readonly WaterfallRow[], now: number, marks: number) {
  const bars = rows.flatMap((row) => row.bars)
  const from = bars.reduce((least, bar) => Math.min(least, bar.from), Number.POSITIVE_INFINITY)
  const start = Number.isFinite(from) ? from : now - 1000
  const last = bars.reduce((most, bar) => Math.max(most, bar.to ?? now), start + 10)
  const length = last - start
  const to = last + length * 0.04
  const step = STEPS.find((candidate) => length / candidate <= marks) ?? length / marks
  const ticks: number[] = []
  if (length < 1000) ticks.push(start, ...(marks > 2 ? [start + length / 2] : []), ...(marks > 1 ? [last] : []))
  else for (let tick = Math.ceil(start / step) * step; tick <= last; tick += step) ticks.push(tick)
  return { from: start, to, ticks }
}

function tickWords(tick: number, length: number): string {
  if (length < 10_000) return `${clockTime(tick)}.${String((tick % 1000) | 0).padStart(3, '0')}`
  return length < 600_000 ? clockTime(tick) : clockTime(tick).slice(0, 5)
}
