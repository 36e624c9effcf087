import { memo, type ReactNode } from 'react'
import { Checkbox } from './form.tsx'
import type { Column } from './column.ts'

export interface GroupTitle {
  title: ReactNode
  note?: ReactNode
  end?: ReactNode
}

/** The room of rows that are not in the document. */
export function SpaceRow(props: { height: number; span: number }) {
  return (
    <tr data-space aria-hidden style={{ height: props.height }}>
      <td colSpan={props.span} />
    </tr>
  )
}

interface TableRowProps<Row extends object> {
  dom: string
  rowKey: string
  row: Row
  index: number
  columns: readonly Column<Row>[]
  cursor: boolean
  selected: boolean | undefined
  onPick: ((key: string, range: boolean) => void) | undefined
  onChoose: (key: string) => void
  onOpen: ((row: Row) => void) | undefined
  openOnPress: boolean
}

function PlainTableRow<Row extends object>(props: TableRowProps<Row>) {
  const { row, rowKey, onPick, selected } = props
  return (
    <tr
      id={props.dom}
      role="row"
      aria-rowindex={props.index}
      aria-selected={selected}
      data-row
      data-cursor={props.cursor ? '' : undefined}
      onClick={(event) => {
        const pressed = event.target as HTMLElement
        if (pressed.closest('a, button, input, label')) return
        if (event.shiftKey && onPick) onPick(rowKey, true)
        else if (props.openOnPress) props.onOpen?.(row)
        else props.onChoose(rowKey)
      }}
      onMouseDown={(event) => {
        // The second press opens; it is not to mark the word under it.
        if (event.detail > 1 && props.onOpen) event.preventDefault()
      }}
      onDoubleClick={(event) => {
        if (!(event.target as HTMLElement).closest('a, button, input, label')) props.onOpen?.(row)
      }}
    >
      {onPick && (
        <td role="gridcell" className="wh-pick">
          <Checkbox
            checked={Boolean(selected)}
            onChange={() => onPick(rowKey, false)}
            label={`Select ${rowKey}`}
            hideLabel
            tabIndex={-1}
          />
        </td>
      )}
      {props.columns.map((column) => (
        <td key={column.id} role="gridcell" data-right={column.right ? '' : undefined} data-narrow={column.narrow}>
          {column.cell(row)}
        </td>
      ))}
    </tr>
  )
}

/** One row; it is drawn again only when something of it changes. */
export const TableRow = memo(PlainTableRow) as typeof PlainTableRow
