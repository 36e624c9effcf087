import { memo } from 'react'
import { cx } from './cx.ts'

/** A line of 54 by 18 px over one scale a column, gaps stay gaps. Decoration beside its number. */
export const Sparkline = memo(function Sparkline(props: {
  values: readonly (number | null | undefined)[]
  max: number
  min?: number
  alarm?: boolean
  width?: number
  height?: number
}) {
  const { values, max, min = 0, width = 54, height = 18 } = props
  const step = values.length > 1 ? width / (values.length - 1) : width
  const y = (value: number) => 1 + (height - 2) * (1 - Math.min(1, Math.max(0, (value - min) / (max - min || 1))))
  let line = ''
  let area = ''
  let open = false
  let first = 0
  values.forEach((value, index) => {
    const x = (index * step).toFixed(1)
    if (value === null || value === undefined) {
      if (open) area += `L${((index - 1) * step).toFixed(1)} ${height}L${first} ${height}Z`
      open = false
      return
    }
    const point = `${x} ${y(value).toFixed(1)}`
    if (!open) {
      first = Number(x)
      area += `M${point}`
    } else area += `L${point}`
    line += `${open ? 'L' : 'M'}${point}`
    open = true
  })
  if (open) area += `L${((values.length - 1) * step).toFixed(1)} ${height}L${first} ${height}Z`
  const tone = props.alarm ? 'var(--failed)' : 'var(--data-1)'
  return (
    <svg viewBox={`0 0 ${width} ${height}`} width={width} height={height} aria-hidden className="flex-none">
      <path d={area} fill={tone} opacity="0.2" />
      <path d={line} fill="none" stroke={tone} strokeWidth="1.2" strokeLinejoin="round" />
    </svg>
  )
})

/** A share of a whole, 4 px high, with its number at the right. The number is the fact; the bar is for the eye. */
export function Gauge(props: { value: number | null | undefined; warnAt?: number; failAt?: number }) {
  const { value, warnAt = 85, failAt = 93 } = props
  if (value === null || value === undefined) return <span className="text-ink-3">no data</span>
  const tone = value >= failAt ? 'var(--failed)' : value >= warnAt ? 'var(--warning)' : 'var(--data-1)'
  return (
    <span className="grid grid-cols-[1fr_32px] items-center gap-[7px]">
      <span className="relative h-1 overflow-hidden rounded-[2px] bg-[color-mix(in_oklab,var(--text)_10%,transparent)]">
        <i
          className="absolute inset-y-0 left-0 rounded-[2px]"
          style={{ width: `${Math.min(100, value)}%`, background: tone }}
        />
      </span>
      <span className={cx('num text-right', value >= failAt && 'font-strong text-ink')}>{Math.round(value)}%</span>
    </span>
  )
}

/** How far something has come; without a share it says only that it goes on. */
export function ProgressBar(props: { percent: number | undefined }) {
  const share = props.percent === undefined ? undefined : Math.max(0, Math.min(100, props.percent))
  return (
    <span
      role="progressbar"
      aria-label="Progress"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={share}
      className="relative h-1.5 w-40 flex-none overflow-hidden rounded-full bg-[color-mix(in_oklab,var(--text)_10%,transparent)]"
    >
      {share !== undefined && (
        <i className="absolute inset-y-0 left-0 rounded-full bg-(--running)" style={{ width: `${share}%` }} />
      )}
    </span>
  )
}

/** One bar a slot of time: pale when fine, coloured and tall when not. */
export function Ribbon(props: {
  slots: readonly { level: 'none' | 'ok' | 'warning' | 'failed' | 'denied' | 'waiting' }[]
  label: string
}) {
  const count = Math.max(1, props.slots.length)
  return (
    <svg
      viewBox={`0 0 ${count * 5} 18`}
      preserveAspectRatio="none"
      role="img"
      aria-label={props.label}
      className="h-[18px] w-full"
    >
      {props.slots.map((slot, index) => {
        const tall = slot.level === 'failed' ? 17 : slot.level === 'ok' || slot.level === 'none' ? 7 : 12
        const fill =
          slot.level === 'none'
            ? 'color-mix(in oklab, var(--text) 10%, transparent)'
            : slot.level === 'ok'
              ? 'color-mix(in oklab, var(--ok) 42%, var(--surface-2))'
              : `var(--${slot.level})`
        return <rect key={index} x={index * 5 + 0.6} y={18 - tall} width={3.8} height={tall} rx={1} style={{ fill }} />
      })}
    </svg>
  )
}
