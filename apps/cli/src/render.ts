import Table from 'cli-table3'
import { stringify } from 'yaml'
import { toneOf } from './cells.ts'
import { harmless, type Voice } from './io.ts'

export const FORMATS = ['table', 'json', 'yaml', 'name'] as const
export type Format = (typeof FORMATS)[number]

export type Cell = string | number | boolean | null | undefined

/** A table's columns by their heads: how each reads in one item. */
export type Columns<T> = Readonly<Record<string, (item: T) => Cell>>

export const cellText = (cell: Cell): string =>
  cell === null || cell === undefined || cell === '' ? '–' : harmless(String(cell)).replace(/\s*\n\s*/g, ' ⏎ ')

/** The text of a reply for machines: JSON or YAML, exactly what the server sent. */
export const serialised = (format: 'json' | 'yaml', body: unknown): string =>
  format === 'json' ? JSON.stringify(body, undefined, 2) : stringify(body).trimEnd()

/** Items as a table without frames; the widest columns give way when the terminal is narrow. Nothing at all for no items. */
export function table<T>(items: readonly T[], columns: Columns<T>, voice: Voice, widthOfTerminal?: number): string {
  if (items.length === 0) return ''
  const heads = Object.keys(columns)
  const rows = items.map((item) => Object.values(columns).map((cell) => cellText(cell(item))))
  const widths = fit(
    heads.map((head, at) => Math.max(head.length, ...rows.map((row) => (row[at] ?? '').length))),
    widthOfTerminal,
  )
  return draw(
    [heads.map((head) => voice.paint('bold', head)), ...rows.map((row) => row.map((text) => toned(text, voice)))],
    widths,
  )
}

/** One item, a line for each column that has something to say. */
export function card<T>(item: T, columns: Columns<T>, voice: Voice): string {
  const width = Math.max(...Object.keys(columns).map((head) => head.length))
  return Object.entries(columns)
    .map(([head, cell]) => [head, harmless(String(cell(item) ?? ''))] as const)
    .filter(([, text]) => text !== '' && text !== '–')
    .map(([head, text]) => {
      const indented = text.replace(/\n/g, `\n${' '.repeat(width + 2)}`)
      return `${voice.paint('bold', head.padEnd(width))}  ${toned(indented, voice)}`
    })
    .join('\n')
}

function toned(text: string, voice: Voice): string {
  const tone = toneOf(text)
  return tone ? voice.paint(tone, text) : text
}

const GAP = 2
const NARROWEST = 8

/** Takes from the widest column until all fit: never from the first, which is what people copy, nor below what still tells something. */
function fit(widths: number[], limit: number | undefined): number[] {
  const fitted = [...widths]
  if (limit === undefined) return fitted
  let excess = fitted.reduce((sum, width) => sum + width + GAP, -GAP) - limit
  while (excess > 0) {
    const most = Math.max(...fitted.slice(1))
    if (most <= NARROWEST) break
    const widest = fitted.indexOf(most, 1)
    fitted[widest] = (fitted[widest] ?? 0) - 1
    excess -= 1
  }
  return fitted
}

const NO_FRAME = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid'].flatMap((side) =>
    side === 'mid'
      ? [
          ['mid', ''],
          ['mid-mid', ''],
        ]
      : [
          [side, ''],
          [`${side}-mid`, ''],
          ...(side === 'top' || side === 'bottom'
            ? [
                [`${side}-left`, ''],
                [`${side}-right`, ''],
              ]
            : []),
        ],
  ),
)

function draw(rows: string[][], widths: readonly number[]): string {
  const frameless = new Table({
    chars: { ...NO_FRAME, middle: '' },
    colWidths: widths.map((width, at) => width + (at === widths.length - 1 ? 0 : GAP)),
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  })
  frameless.push(...rows)
  return frameless
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}
