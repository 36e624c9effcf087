import type { ReactNode } from 'react'
import { useNarrow } from './measure.ts'

// A row of a narrow screen has two lines.
const NARROW_ROW = '61px'
const HEAD = '34px'

/** Holds a table as tall as its rows, up to most of the screen: other things may stand under it, and the page scrolls. */
export function FittedTable(props: { rows: number; children: ReactNode }) {
  const height = `calc(${props.rows} * ${useNarrow() ? `${NARROW_ROW} + 4px` : `var(--row-h) + ${HEAD}`})`
  return (
    <div className="flex flex-none flex-col wide:max-h-[72vh]" style={props.rows === 0 ? undefined : { height }}>
      {props.children}
    </div>
  )
}
