import type { ReactNode } from 'react'
import { cx } from '../../ui/cx.ts'

/** A short table of an administration page: no selection, no cursor. On a narrow screen it scrolls within itself. */
export function PlainTable(props: {
  label: string
  heads: readonly string[]
  rows: readonly { id: string; cells: readonly ReactNode[] }[]
}) {
  return (
    <div
      tabIndex={0}
      role="region"
      aria-label={props.label}
      className="relative overflow-x-auto rounded-r3 border border-line-1 bg-surface-2"
    >
      <table className="w-full min-w-[760px] text-s2">
        <thead>
          <tr className="text-left text-s1 text-ink-3">
            {props.heads.map((head, index) => (
              <th
                key={head || index}
                scope="col"
                className="h-8 border-b border-line-2 px-2.5 font-medium whitespace-nowrap first:pl-3.5 last:pr-3.5"
              >
                {head || <span className="sr-only">Verbs</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.rows.map((row) => (
            <tr key={row.id} className="[&:last-child_td]:border-b-0">
              {row.cells.map((cell, index) => (
                <td
                  key={index}
                  className={cx(
                    'h-(--row-h) border-b border-line-1 px-2.5 py-[5px] text-ink-2 [overflow-wrap:break-word] first:pl-3.5 last:pr-3.5 [&_time]:whitespace-nowrap',
                    index === row.cells.length - 1 && props.heads[index] === '' && 'text-right whitespace-nowrap',
                  )}
                >
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
