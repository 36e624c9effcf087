import { execFileSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'

/** One line of the table: what Wheelhouse did, beside what the same machine does without it in the same run. */
export interface Figure {
  section: string
  name: string
  /** Ours, with its unit. */
  ours: string
  /** What it is held against. */
  beside: string
  /** Ours to theirs, as the bar of the issue counts it. */
  ratio?: number
  bar?: { atLeast?: number; atMost?: number }
  note?: string
}

export const perSecond = (n: number): string => `${Math.round(n).toLocaleString('en')}/s`
export const ms = (n: number): string => (n < 10 ? `${n.toFixed(2)} ms` : `${n.toFixed(0)} ms`)
export const us = (n: number): string => `${n.toFixed(2)} µs`

/** The value below which `share` of the sorted samples lie. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5)

function verdict({ ratio, bar }: Figure): string {
  if (ratio === undefined || !bar) return ''
  const met = (bar.atLeast === undefined || ratio >= bar.atLeast) && (bar.atMost === undefined || ratio <= bar.atMost)
  const text = bar.atLeast === undefined ? `≤ ${bar.atMost}` : `≥ ${bar.atLeast}`
  return `${text} ${met ? 'met' : '**missed**'}`
}

const version = (command: string, args: string[]): string => {
  try {
    return execFileSync(command, args, { encoding: 'utf8' }).trim().split('\n')[0] ?? ''
  } catch {
    return 'unknown'
  }
}

/** The whole table as Markdown, with the machine and the versions that it speaks of. */
export function markdown(
  figures: readonly Figure[],
  facts: { postgres: string; nats: string; tookMs: number },
): string {
  const [cpu] = cpus()
  const head = [
    '# Benchmarks',
    '',
    'Written by `npm run bench`. Every ratio is measured side by side in one run on one machine: server, database, bus, load and, where there',
    'is one, the worker share its cores. Read figures as floors and ratios as the result.',
    '',
    `| Machine | ${cpus().length} × ${cpu?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB |`,
    '|---|---|',
    `| Versions | Node ${process.version}, ${facts.postgres}, ${facts.nats}, kernel ${version('uname', ['-r'])} |`,
    `| Run | ${Math.round(facts.tookMs / 1000)} s |`,
    '',
  ]
  const sections = Map.groupBy(figures, (figure) => figure.section)
  const body = [...sections].flatMap(([section, rows]) => [
    `## ${section}`,
    '',
    '| Measured | Wheelhouse | Beside it | Ratio | Bar |',
    '|---|---:|---:|---:|---|',
    ...rows.map(
      (row) =>
        `| ${row.name} | ${row.ours} | ${row.beside} | ${row.ratio === undefined ? '' : row.ratio.toFixed(2)} | ${verdict(row)} |`,
    ),
    '',
    ...rows.flatMap((row) => (row.note === undefined ? [] : [`${row.note}`, ''])),
  ])
  return [...head, ...body].join('\n')
}
