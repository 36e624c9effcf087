import { useMemo } from 'react'
import { clockTime } from './age.ts'
import type { LogLine } from './log-view.tsx'

/** Lines over time, errors and warnings at the foot; a press goes to that time. The scroll bar of a log in time. */
export function LogHistogram(props: { lines: readonly LogLine[]; slots?: number; onJump: (lineId: string) => void }) {
  const { lines, slots = 72 } = props
  const { bars, most, from, to } = useMemo(() => {
    const start = lines[0]?.at ?? 0
    const end = Math.max(lines.at(-1)?.at ?? 0, start + 1)
    const made = Array.from({ length: slots }, () => ({ all: 0, warn: 0, error: 0, first: '' }))
    for (const line of lines) {
      const bar = made[Math.min(slots - 1, Math.max(0, Math.floor(((line.at - start) / (end - start)) * slots)))]
      if (!bar) continue
      if (bar.all === 0) bar.first = line.id
      bar.all += 1
      if (line.level === 'warn') bar.warn += 1
      if (line.level === 'error') bar.error += 1
    }
    return { bars: made, most: Math.max(1, ...made.map((bar) => bar.all)), from: start, to: end }
  }, [lines, slots])
  if (lines.length < 2) return null
  const rect = (index: number, bottom: number, height: number, fill: string) =>
    height > 0 && <rect x={index * 10 + 1} y={34 - bottom - height} width={8} height={height} rx={1} style={{ fill }} />
  return (
    <svg
      viewBox={`0 0 ${slots * 10} 34`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${lines.length} lines from ${clockTime(from)} to ${clockTime(to)}`}
      className="h-[34px] w-full flex-none cursor-pointer bg-well px-3 pt-1.5"
      onClick={(event) => {
        const box = event.currentTarget.getBoundingClientRect()
        const index = Math.floor(((event.clientX - box.left - 12) / (box.width - 24)) * slots)
        const bar = bars.slice(Math.max(0, index)).find((other) => other.all > 0)
        if (bar) props.onJump(bar.first)
      }}
    >
      {bars.map((bar, index) => {
        const scale = 30 / most
        const error = bar.error && Math.max(1.5, bar.error * scale)
        const warn = bar.warn && Math.max(1.5, bar.warn * scale)
        const rest = bar.all && Math.max(1.5, (bar.all - bar.error - bar.warn) * scale)
        return (
          <g key={index}>
            {rect(index, 0, error, 'var(--failed)')}
            {rect(index, error, warn, 'var(--warning)')}
            {rect(index, error + warn, rest, 'color-mix(in oklab, var(--data-1) 45%, var(--well))')}
          </g>
        )
      })}
    </svg>
  )
}
