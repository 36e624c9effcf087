import type { ReactNode } from 'react'
import type { ChartSeries } from './chart-data.ts'

export interface ChartProps {
  title: string
  note?: ReactNode
  /** Milliseconds, ascending; one for every value. */
  times: readonly number[]
  series: readonly ChartSeries[]
  kind?: 'lines' | 'stack' | 'mirror'
  format: (value: number) => string
  min?: number
  max?: number
  height?: number
  /** ▲ what changed, with a dotted line and a word. */
  markers?: readonly { at: number; label: string }[]
  threshold?: { value: number; label: string }
  /** Charts of one key share cursor and range. */
  sync: string
  range?: readonly [from: number, to: number] | undefined
  /** A drag chose a range; a double press gives it back. */
  onRange?: (range: readonly [number, number] | undefined) => void
  className?: string
}
