import { ArrowDown, ArrowUp } from 'lucide-react'
import type { ReactNode } from 'react'
import { cx } from './cx.ts'
import type { Column, Sort } from './column.ts'

/** The head of a table: what sorts is a button, the order is an arrow and `aria-sort`. */
export function TableHead<Row extends object>(props: {
  columns: readonly Column<Row>[]
  sort: Sort | undefined
  onSort: ((sort: Sort) => void) | undefined
  pick: ReactNode
}) {
  const { sort, onSort } = props
  return (
    <thead role="rowgroup">
      <tr role="row" aria-rowindex={1}>
        {props.pick && (
          <th role="columnheader" scope="col" className="wh-pick">
            {props.pick}
          </th>
        )}
        {props.columns.map((column) => {
          const sorted = sort?.id === column.id ? sort : undefined
          return (
            <th
              key={column.id}
              role="columnheader"
              scope="col"
              data-right={column.right ? '' : undefined}
              aria-sort={sorted ? (sorted.desc ? 'descending' : 'ascending') : undefined}
            >
              {column.value && onSort ? (
                <button
                  type="button"
                  onClick={() => onSort({ id: column.id, desc: sorted ? !sorted.desc : Boolean(column.right) })}
                  className={cx(
                    'inline-flex h-6 items-center gap-1 font-medium hover:text-ink',
                    sorted && 'text-ink-2',
                  )}
                >
                  {column.head}
                  {sorted && (sorted.desc ? <ArrowDown size={12} aria-hidden /> : <ArrowUp size={12} aria-hidden />)}
                </button>
              ) : column.head === '' ? (
                <span className="sr-only">Verbs</span>
              ) : (
                column.head
              )}
            </th>
          )
        })}
      </tr>
    </thead>
  )
}
