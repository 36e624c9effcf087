import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import { clockTime } from './age.ts'
import { drawnValues, seriesToken } from './chart-data.ts'
import type { ChartProps } from './chart-props.ts'
import { useWidth } from './measure.ts'
import { tokenColor, useTokenColors } from './token-colors.ts'
import './chart-canvas.css'

const FONT = '11px "Inter Variable", system-ui, sans-serif'

interface Palette {
  axis: string
  grid: string
  ground: string
  mark: string
  alarm: string
  data: string[]
}

function readPalette(tokens: readonly string[]): Palette {
  return {
    axis: tokenColor('--text-3'),
    grid: tokenColor('--data-grid'),
    ground: tokenColor('--surface-1'),
    mark: tokenColor('--text-2'),
    alarm: tokenColor('--failed-text'),
    data: tokens.map((token) => tokenColor(token)),
  }
}

/** The picture of a chart, on a canvas. It is loaded only where a chart is shown. */
export function ChartCanvas(props: ChartProps & { height: number; onCursor: (index: number | undefined) => void }) {
  const { kind = 'lines', height } = props
  const host = useRef<HTMLDivElement>(null)
  const width = useWidth(host)
  const plot = useRef<uPlot>(undefined)
  const latest = useRef(props)
  latest.current = props
  const tokens = props.series.map(seriesToken).join(' ')
  const theme = useTokenColors(themeName)
  const labels = props.series.map((one) => one.label).join('\n')

  // A new plot only for a new shape or theme; values and size go into the one that stands, without animation.
  useEffect(() => {
    if (!host.current || width === 0) return
    const palette = readPalette(tokens.split(' '))
    const made = new uPlot(options(latest, palette, width, height, kind), aligned(latest.current), host.current)
    plot.current = made
    void document.fonts.ready.then(() => plot.current === made && made.redraw(false, true))
    return () => {
      plot.current = undefined
      made.destroy()
    }
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the width is followed below
  }, [tokens, labels, theme, kind, height, width === 0])

  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height })
  }, [width, height])

  const { times, series, range } = props
  useEffect(() => {
    plot.current?.setData(aligned(latest.current), true)
  }, [times, series, range])

  return <div ref={host} aria-hidden className="absolute inset-0 overflow-hidden" />
}

const themeName = () => tokenColor('--text')

function aligned(props: ChartProps): uPlot.AlignedData {
  return [props.times.map((at) => at / 1000), ...drawnValues(props.series, props.kind ?? 'lines')]
}

function options(
  latest: { current: ChartProps & { onCursor: (index: number | undefined) => void } },
  palette: Palette,
  width: number,
  height: number,
  kind: 'lines' | 'stack' | 'mirror',
): uPlot.Options {
  const { series, sync } = latest.current
  const axis: uPlot.Axis = { stroke: palette.axis, font: FONT, ticks: { show: false } }
  return {
    width,
    height,
    legend: { show: false },
    padding: [6, 18, 0, 0],
    cursor: {
      y: false,
      sync: { key: sync },
      points: {
        size: 7,
        fill: (_plot, index) => palette.data[index - 1] ?? palette.axis,
        stroke: () => palette.ground,
        width: 1.5,
      },
      drag: { x: true, y: false, setScale: false },
    },
    scales: {
      x: { range: (_plot, low, high) => rangeOf(latest.current, low, high) },
      y: {
        range: (_plot, low, high) => {
          const { min = 0, max, threshold } = latest.current
          const top = Math.max(max ?? 0, high ?? 1, threshold && max === undefined ? threshold.value * 1.1 : 0)
          if (kind === 'mirror') {
            const edge = Math.max(Math.abs(low ?? 0), Math.abs(high ?? 0), 1) * 1.15
            return [-edge, edge]
          }
          return [Math.min(min, low ?? min), max === undefined ? top * 1.08 || 1 : top]
        },
      },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 24,
        gap: 4,
        space: 76,
        values: (_plot, splits) => splits.map((at) => clockTime(at * 1000).slice(0, 5)),
      },
      {
        ...axis,
        size: (plot, values) => axisWidth(plot, values),
        gap: 6,
        space: kind === 'mirror' ? 24 : 36,
        grid: { stroke: palette.grid, width: 1 },
        values: (_plot, splits) => splits.map((value) => latest.current.format(Math.abs(value))),
      },
    ],
    series: [
      {},
      ...series.map((one, index): uPlot.Series => {
        const stroke = palette.data[index] ?? palette.axis
        return {
          label: one.label,
          stroke,
          width: 1.5,
          ...(kind === 'mirror' ? { fillTo: 0 } : {}),
          spanGaps: false,
          points: { show: (plot, seriesIndex) => isLonely(plot, seriesIndex), size: 4, fill: stroke },
          ...(one.dashed ? { dash: [4, 3] } : {}),
          fill:
            kind === 'stack'
              ? alpha(stroke, 0.6)
              : index === 0 || kind === 'mirror'
                ? fading(stroke, kind === 'mirror' && index > 0)
                : undefined,
        }
      }),
    ],
    ...(kind === 'stack'
      ? { bands: series.slice(1).map((_one, index) => ({ series: [index + 2, index + 1] as [number, number] })) }
      : {}),
    hooks: {
      setCursor: [(plot) => latest.current.onCursor(plot.cursor.idx ?? undefined)],
      setSelect: [
        (plot) => {
          const { left, width: chosen } = plot.select
          if (chosen > 4)
            latest.current.onRange?.([plot.posToVal(left, 'x') * 1000, plot.posToVal(left + chosen, 'x') * 1000])
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
        },
      ],
      ready: [(plot) => plot.over.addEventListener('dblclick', () => latest.current.onRange?.(undefined))],
      draw: [(plot) => drawMarks(plot, latest.current, palette)],
    },
  }
}

// As wide as the longest label, so that none is cut.
function axisWidth(plot: uPlot, values: string[] | null): number {
  if (!values || values.length === 0) return 40
  plot.ctx.save()
  plot.ctx.font = FONT
  const widest = Math.max(...values.map((value) => plot.ctx.measureText(value).width))
  plot.ctx.restore()
  return Math.max(34, Math.ceil(widest) + 12)
}

function rangeOf(props: ChartProps, low: number, high: number): [number, number] {
  if (props.range) return [props.range[0] / 1000, props.range[1] / 1000]
  return low === high ? [low - 30, high + 30] : [low, high]
}

// A point between two gaps would be invisible as a line.
function isLonely(plot: uPlot, seriesIndex: number): boolean {
  const values = plot.data[seriesIndex]
  return values !== undefined && values.length === 1
}

// The same colour with another opacity. Mixed with `transparent` a gradient would pass through grey.
function alpha(color: string, share: number): string {
  return color.includes('/') ? color : color.replace(')', ` / ${share})`)
}

function fading(color: string, up: boolean) {
  return (plot: uPlot) => {
    const { top, height } = plot.bbox
    const gradient = plot.ctx.createLinearGradient(0, up ? top + height : top, 0, up ? top : top + height)
    gradient.addColorStop(0, alpha(color, 0.22))
    gradient.addColorStop(1, alpha(color, 0))
    return gradient
  }
}

function drawMarks(plot: uPlot, props: ChartProps, palette: Palette) {
  const { ctx, bbox } = plot
  const ratio = devicePixelRatio
  ctx.save()
  ctx.font = `${11 * ratio}px "Inter Variable", system-ui, sans-serif`
  ctx.textAlign = 'left'
  ctx.textBaseline = 'alphabetic'
  ctx.lineWidth = ratio
  const label = (text: string, x: number, y: number, color: string) => {
    ctx.lineWidth = 3 * ratio
    ctx.strokeStyle = palette.ground
    ctx.lineJoin = 'round'
    ctx.strokeText(text, x, y)
    ctx.fillStyle = color
    ctx.fillText(text, x, y)
    ctx.lineWidth = ratio
  }
  if (props.threshold) {
    const y = plot.valToPos(props.threshold.value, 'y', true)
    if (y >= bbox.top && y <= bbox.top + bbox.height) {
      ctx.strokeStyle = palette.alarm
      ctx.setLineDash([4 * ratio, 3 * ratio])
      ctx.beginPath()
      ctx.moveTo(bbox.left, y)
      ctx.lineTo(bbox.left + bbox.width, y)
      ctx.stroke()
      label(props.threshold.label, bbox.left + 4 * ratio, y - 4 * ratio, palette.alarm)
    }
  }
  ctx.setLineDash([2 * ratio, 2 * ratio])
  // Of markers too near to each other the first is named; the others keep their line.
  let namedTo = Number.NEGATIVE_INFINITY
  for (const marker of (props.markers ?? []).toSorted((a, b) => a.at - b.at)) {
    const x = plot.valToPos(marker.at / 1000, 'x', true)
    if (x < bbox.left || x > bbox.left + bbox.width) continue
    const base = bbox.top + bbox.height
    ctx.strokeStyle = palette.mark
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, base)
    ctx.stroke()
    ctx.fillStyle = palette.mark
    ctx.beginPath()
    ctx.moveTo(x - 4 * ratio, base)
    ctx.lineTo(x + 4 * ratio, base)
    ctx.lineTo(x, base - 6 * ratio)
    ctx.fill()
    const room = x + 90 * ratio < bbox.left + bbox.width
    const words = ctx.measureText(marker.label).width + 10 * ratio
    const [from, to] = room ? [x, x + words] : [x - words, x]
    if (from < namedTo) continue
    namedTo = to
    ctx.textAlign = room ? 'left' : 'right'
    label(marker.label, x + (room ? 5 : -5) * ratio, bbox.top + 10 * ratio, palette.mark)
    ctx.textAlign = 'left'
  }
  ctx.restore()
}
