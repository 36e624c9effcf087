import type { ReactNode } from 'react'

/** One column of a table: what it shows, what it sorts by, and its place on a narrow screen. */
export interface Column<Row extends object> {
  id: string
  /** The head, with the unit where there is one: "CPU, 1 h". Empty over verbs: it is read as such, and not shown. */
  head: string
  cell: (row: Row) => ReactNode
  /** What the column sorts by; without it, it does not sort. Undefined comes last in both directions. */
  value?: (row: Row) => string | number | undefined
  /** Pixels. Columns without a width share what is left. */
  width?: number
  right?: boolean
  /** The column shows from this table width on. */
  from?: number
  /** Its place in the two-line row of a narrow screen; without one it is left out there. */
  narrow?: 'name' | 'place' | 'side' | 'end' | 'verb'
}

export interface Sort {
  id: string
  desc: boolean
}
