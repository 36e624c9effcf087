export interface ChartSeries {
  label: string
  values: readonly (number | null)[]
  /** A colour token; by default `--data-1` and on, in order. A status token only where the series is a state. */
  token?: string
  dashed?: boolean
}

/** Values as they are drawn: stacked sums, or the second series turned below zero. A gap stays a gap. */
export function drawnValues(series: readonly ChartSeries[], kind: 'lines' | 'stack' | 'mirror'): (number | null)[][] {
  if (kind === 'mirror') {
    return series.map((one, index) => one.values.map((value) => (value === null || index === 0 ? value : -value)))
  }
  if (kind === 'lines') return series.map((one) => [...one.values])
  const sums: number[] = []
  return series.map((one) =>
    one.values.map((value, index) => {
      if (value === null) return null
      sums[index] = (sums[index] ?? 0) + value
      return sums[index] as number
    }),
  )
}

/** The colour token of a series: its own, or the next of the palette; from the eighth on "others". */
export function seriesToken(series: ChartSeries, index: number): string {
  return series.token ?? `--data-${Math.min(index + 1, 8)}`
}

/** What the chart shows, in words, for those who do not see it. */
export function chartSentence(
  title: string,
  series: readonly ChartSeries[],
  format: (value: number) => string,
): string {
  const parts = series.flatMap((one) => {
    const known = one.values.filter((value) => value !== null)
    const last = known.at(-1)
    if (last === undefined) return []
    const low = known.reduce((a, b) => Math.min(a, b))
    const high = known.reduce((a, b) => Math.max(a, b))
    return [`${one.label} ${format(last)} now, between ${format(low)} and ${format(high)}`]
  })
  return parts.length === 0 ? `${title}: no data.` : `${title}: ${parts.join('; ')}.`
}

/** Some of the points, evenly taken, the last one always: the table behind a chart. */
export function sampleIndexes(length: number, most: number): number[] {
  if (length <= most) return Array.from({ length }, (_, index) => index)
  return Array.from({ length: most }, (_, index) => Math.round((index * (length - 1)) / (most - 1)))
}
