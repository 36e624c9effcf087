import { lazy, Suspense, useCallback, useMemo, useRef, useState } from 'react'
import { stamp } from './age.ts'
import { chartSentence, sampleIndexes, seriesToken } from './chart-data.ts'
import type { ChartProps } from './chart-props.ts'
import { cx } from './cx.ts'

const ChartCanvas = lazy(() => import('./chart-canvas.tsx').then((module) => ({ default: module.ChartCanvas })))

export type { ChartSeries } from './chart-data.ts'

/** A time series. Beside the picture stand a sentence and, behind ⏎, a table. */
export function Chart(props: ChartProps) {
  const { title, series, times, format, height = 132 } = props
  const [at, setAt] = useState<number>()
  const [table, setTable] = useState(false)
  const figure = useRef<HTMLElement>(null)
  const sentence = useMemo(() => chartSentence(title, series, format), [title, series, format])
  const onCursor = useCallback((index: number | undefined) => setAt(index), [])
  const shown = at ?? times.length - 1
  return (
    <figure
      ref={figure}
      tabIndex={0}
      aria-label={`${sentence} Press Enter for the table.`}
      onKeyDown={(event) => {
        if (event.key !== 'Enter' || event.target !== figure.current) return
        event.preventDefault()
        setTable(!table)
      }}
      className={cx('min-w-0 px-3.5 pt-[11px] pb-2 focus-visible:-outline-offset-2', props.className)}
    >
      <figcaption className="mb-1 flex min-h-[18px] flex-wrap items-center gap-x-2.5">
        <span className="text-s2 font-strong">{title}</span>
        {props.note && <span className="text-s2">{props.note}</span>}
        <span className="ml-auto flex gap-3 text-s1 whitespace-nowrap text-ink-2">
          {series.map((one, index) => {
            const value = one.values[shown]
            return (
              <span key={one.label} className="inline-flex items-center gap-[5px]">
                <i
                  aria-hidden
                  className="h-[2.5px] w-2.5 rounded-[2px]"
                  style={{ background: `var(${seriesToken(one, index)})` }}
                />
                {one.label}
                <b className="num font-medium text-ink">
                  {value === null || value === undefined ? '–' : format(value)}
                </b>
              </span>
            )
          })}
        </span>
      </figcaption>
      <div style={{ height }} className="relative">
        {times.length === 0 ? (
          <p className="grid h-full place-items-center text-s2 text-ink-3">No data in this range.</p>
        ) : (
          <Suspense fallback={null}>
            <ChartCanvas {...props} height={height} onCursor={onCursor} />
          </Suspense>
        )}
      </div>
      {table && <ChartTable {...props} />}
    </figure>
  )
}

function ChartTable(props: ChartProps) {
  return (
    <div
      className="mt-2 max-h-56 overflow-auto rounded-r2 border border-line-1"
      tabIndex={0}
      role="region"
      aria-label={`${props.title}, table`}
    >
      <table className="w-full text-s2">
        <thead>
          <tr className="text-left text-s1 text-ink-3">
            <th className="px-2.5 py-1 font-medium">Time</th>
            {props.series.map((one) => (
              <th key={one.label} className="px-2.5 py-1 text-right font-medium">
                {one.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sampleIndexes(props.times.length, 60)
            .toReversed()
            .map((index) => (
              <tr key={index} className="border-t border-line-1">
                <td className="num px-2.5 py-0.5">{stamp(props.times[index] ?? 0)}</td>
                {props.series.map((one) => {
                  const value = one.values[index]
                  return (
                    <td key={one.label} className="num px-2.5 py-0.5 text-right">
                      {value === null || value === undefined ? '–' : props.format(value)}
                    </td>
                  )
                })}
              </tr>
            ))}
        </tbody>
      </table>
    </div>
  )
}
