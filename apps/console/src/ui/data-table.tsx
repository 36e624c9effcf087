import { createSortedRowModel, rowSortingFeature, tableFeatures, useTable, type ColumnDef } from '@tanstack/react-table'
import { useVirtualizer, defaultRangeExtractor } from '@tanstack/react-virtual'
import { ChevronDown, ChevronRight } from 'lucide-react'
import { useCallback, useEffect, useId, useMemo, useRef, useState, type ReactNode } from 'react'
import { Checkbox } from './form.tsx'
import { useKeys, type KeyBinding } from './keys.tsx'
import { useNarrow, usePixelToken, useWidth } from './measure.ts'
import { settle } from './settle.ts'
import { SpaceRow, TableRow, type GroupTitle } from './data-table-rows.tsx'
import type { Column, Sort } from './column.ts'
import { TableHead } from './data-table-head.tsx'
import './data-table.css'

export type { Column, Sort } from './column.ts'

export interface DataTableProps<Row extends object> {
  label: string
  rows: readonly Row[]
  rowId: (row: Row) => string
  columns: readonly Column<Row>[]
  sort?: Sort | undefined
  onSort?: (sort: Sort) => void
  /** The rows come sorted from the server; a press on a head only asks. */
  serverSorted?: boolean
  selection?: ReadonlySet<string>
  onSelect?: (selection: ReadonlySet<string>) => void
  onOpen?: (row: Row) => void
  onPeek?: (row: Row) => void
  /** Further keys for the row under the cursor, such as `e` to run a command there. */
  rowKeys?: readonly { keys: string; label: string; run: (row: Row) => void }[]
  groupOf?: (row: Row) => string
  groupTitle?: (group: string, rows: readonly Row[]) => GroupTitle
  /** Rows in all, when the server holds more than these. */
  total?: number
  /** What counts as a new question: sorting, filters. Rows settle anew when it changes. */
  question?: string
  /** Called near the end of the rows, to ask for the next page. */
  onEnd?: () => void
  empty?: ReactNode
  /** Rows under the footer of a selection stay reachable. */
  padEnd?: number
}

const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel() })
type Item<Row extends object> =
  { kind: 'group'; group: string; rows: readonly Row[] } | { kind: 'row'; id: string; row: Row; index: number }

const compare = (a: unknown, b: unknown) =>
  typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true })

/** A table of up to tens of thousands of rows: virtual, sorted, grouped, selectable, worked by keyboard (`j k x ⇧x ⏎ space`). Live updates change values in place; while the pointer is over it rows keep their order and new ones wait. */
export function DataTable<Row extends object>(props: DataTableProps<Row>) {
  const { rows, rowId, columns, sort, selection, onSelect, groupOf, groupTitle } = props
  const id = useId()
  const scroller = useRef<HTMLDivElement>(null)
  const width = useWidth(scroller)
  const narrow = useNarrow()
  const rowHeight = usePixelToken('--row-h')
  const [cursor, setCursor] = useState<string>()
  const anchor = useRef<string>(undefined)
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set())
  const [held, setHeld] = useState(false)

  const defs = useMemo<ColumnDef<typeof features, Row>[]>(
    () =>
      columns.map((column) => ({
        id: column.id,
        accessorFn: (row: Row) => column.value?.(row),
        enableSorting: column.value !== undefined,
        sortFn: (a, b, columnId) => compare(a.getValue(columnId), b.getValue(columnId)),
        sortUndefined: 'last',
      })),
    [columns],
  )
  const data = useMemo(() => [...rows], [rows])
  const sorting = useMemo(() => (sort ? [{ id: sort.id, desc: sort.desc }] : []), [sort])
  const table = useTable({
    features,
    columns: defs,
    data,
    getRowId: rowId,
    manualSorting: props.serverSorted ?? false,
    state: { sorting },
    onSortingChange: () => {},
  })
  const sorted = table.getRowModel().rows

  // Rows settle: see settle.ts. A new question (sort, filter) is answered at once, wherever the pointer is.
  const question = `${sort?.id}${sort?.desc}${props.question ?? ''}`
  const settled = useRef<{ question: string; order: readonly string[] }>({ question, order: [] })
  const { ordered, waiting } = useMemo(() => {
    const byId = new Map(sorted.map((row) => [row.id, row.original]))
    const previous = settled.current.question === question ? settled.current.order : []
    const result = settle(previous, [...byId.keys()], held)
    settled.current = { question, order: result.order }
    return { ordered: result.order.map((key) => ({ id: key, row: byId.get(key) as Row })), waiting: result.waiting }
  }, [sorted, held, question])

  const items = useMemo<Item<Row>[]>(() => {
    if (!groupOf) return ordered.map((entry, index) => ({ kind: 'row', ...entry, index }))
    const groups = new Map<string, { id: string; row: Row }[]>()
    for (const entry of ordered) {
      const key = groupOf(entry.row)
      const known = groups.get(key)
      if (known) known.push(entry)
      else groups.set(key, [entry])
    }
    let index = 0
    return [...groups].flatMap(([group, entries]) => {
      const head: Item<Row> = { kind: 'group', group, rows: entries.map((entry) => entry.row) }
      const body = closed.has(group)
        ? []
        : entries.map((entry): Item<Row> => ({ kind: 'row', ...entry, index: index++ }))
      return [head, ...body]
    })
  }, [ordered, groupOf, closed])

  const groupIndexes = useMemo(
    () => (groupOf ? items.flatMap((item, index) => (item.kind === 'group' ? [index] : [])) : []),
    [items, groupOf],
  )
  const virtualizer = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => (items[index]?.kind === 'group' ? 28 : narrow ? 61 : rowHeight),
    getItemKey: (index) => {
      const item = items[index]
      return item ? (item.kind === 'group' ? `group:${item.group}` : item.id) : index
    },
    overscan: 10,
    scrollPaddingStart: groupOf ? 62 : 34,
    scrollPaddingEnd: 8 + (props.padEnd ?? 0),
    // The bar of the group at the top stays in the document, so that it can stick.
    rangeExtractor: (range) => {
      const inside = defaultRangeExtractor(range)
      const above = groupIndexes.findLast((index) => index <= range.startIndex)
      return above === undefined || inside.includes(above) ? inside : [above, ...inside]
    },
  })
  useEffect(() => virtualizer.measure(), [virtualizer, narrow, rowHeight])

  const visible = virtualizer.getVirtualItems()
  const lastShown = visible.at(-1)?.index ?? 0
  const { onEnd } = props
  useEffect(() => {
    if (onEnd && items.length > 0 && lastShown >= items.length - 20) onEnd()
  }, [onEnd, lastShown, items.length])

  const rowItems = useMemo(() => items.filter((item) => item.kind === 'row'), [items])
  const at = rowItems.findIndex((item) => item.id === cursor)
  const current = at >= 0 ? rowItems[at] : undefined
  const moveTo = (index: number) => {
    const item = rowItems[Math.max(0, Math.min(rowItems.length - 1, index))]
    if (!item) return
    setCursor(item.id)
    virtualizer.scrollToIndex(items.indexOf(item), { align: 'auto' })
  }

  const latest = useRef({ selection, onSelect, rowItems })
  useEffect(() => {
    latest.current = { selection, onSelect, rowItems }
  })
  const pick = useCallback((key: string, range: boolean) => {
    const { selection: now, onSelect: tell, rowItems: shown } = latest.current
    if (!now || !tell) return
    const next = new Set(now)
    const from = range && anchor.current ? shown.findIndex((item) => item.id === anchor.current) : -1
    if (from >= 0) {
      const to = shown.findIndex((item) => item.id === key)
      for (const item of shown.slice(Math.min(from, to), Math.max(from, to) + 1)) next.add(item.id)
    } else if (next.has(key)) next.delete(key)
    else next.add(key)
    anchor.current = key
    tell(next)
  }, [])

  const { onOpen, onPeek } = props
  const bindings: KeyBinding[] = [
    { keys: 'j', label: 'Next row', group: 'Tables', run: () => moveTo(at + 1) },
    { keys: 'k', label: 'Previous row', group: 'Tables', run: () => moveTo(at < 0 ? 0 : at - 1) },
    { keys: 'down', label: 'Next row', group: 'Tables', quiet: true, run: () => moveTo(at + 1) },
    { keys: 'up', label: 'Previous row', group: 'Tables', quiet: true, run: () => moveTo(at < 0 ? 0 : at - 1) },
  ]
  if (selection && onSelect) {
    bindings.push(
      { keys: 'x', label: 'Select the row', group: 'Tables', run: () => current && pick(current.id, false) },
      { keys: 'shift+x', label: 'Select up to the row', group: 'Tables', run: () => current && pick(current.id, true) },
    )
    if (selection.size > 0) {
      bindings.push({ keys: 'escape', label: 'Clear the selection', group: 'Tables', run: () => onSelect(new Set()) })
    }
  }
  if (onOpen)
    bindings.push({ keys: 'enter', label: 'Open the row', group: 'Tables', run: () => current && onOpen(current.row) })
  if (onPeek)
    bindings.push({
      keys: 'space',
      label: 'Peek at the row',
      group: 'Tables',
      run: () => current && onPeek(current.row),
    })
  for (const extra of props.rowKeys ?? []) {
    bindings.push({
      keys: extra.keys,
      label: extra.label,
      group: 'Tables',
      run: () => current && extra.run(current.row),
    })
  }
  useKeys(bindings)

  const shownColumns = useMemo(
    () => columns.filter((column) => narrow || !column.from || width === 0 || width >= column.from),
    [columns, narrow, width],
  )
  const choose = useCallback((key: string) => setCursor(key), [])
  const picksAll = selection
    ? selection.size === 0
      ? false
      : ordered.every((entry) => selection.has(entry.id))
        ? true
        : 'some'
    : false
  const allIds = () => onSelect?.(picksAll === true ? new Set() : new Set(ordered.map((entry) => entry.id)))
  const colSpan = shownColumns.length + (selection ? 1 : 0)
  let end = 0

  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      {waiting > 0 && (
        <button
          type="button"
          onClick={() => setHeld(false)}
          className="wh-rise absolute top-9 left-1/2 z-(--z-dock) -translate-x-1/2 rounded-full bg-surface-3 px-3 py-1 text-s2 font-medium text-accent-text shadow-e3 ring ring-line-2"
        >
          {waiting} new
        </button>
      )}
      <div
        ref={scroller}
        className="min-h-0 flex-1 overflow-auto overscroll-contain"
        onPointerEnter={(event) => event.pointerType === 'mouse' && setHeld(true)}
        onPointerLeave={() => setHeld(false)}
      >
        <table
          role="grid"
          aria-label={props.label}
          aria-rowcount={(props.total ?? ordered.length) + 1}
          aria-multiselectable={selection ? true : undefined}
          aria-activedescendant={
            current && visible.some((v) => v.key === current.id) ? `${id}-${current.id}` : undefined
          }
          tabIndex={0}
          data-picks={selection ? '' : undefined}
          onFocus={() => cursor === undefined && rowItems[0] && setCursor(rowItems[0].id)}
          className="wh-table"
        >
          <colgroup>
            {selection && <col style={{ width: 40 }} />}
            {shownColumns.map((column) => (
              <col key={column.id} style={column.width ? { width: column.width } : undefined} />
            ))}
          </colgroup>
          <TableHead
            columns={shownColumns}
            sort={sort}
            onSort={props.onSort}
            pick={
              selection && (
                <Checkbox checked={picksAll} onChange={allIds} label="Select all rows" hideLabel tabIndex={-1} />
              )
            }
          />
          <tbody role="rowgroup">
            {visible.flatMap((slot) => {
              const item = items[slot.index]
              if (!item) return []
              const gap = slot.start - end
              end = slot.end
              const space = gap > 0 ? [<SpaceRow key={`space:${slot.key}`} height={gap} span={colSpan} />] : []
              if (item.kind === 'group') {
                const open = !closed.has(item.group)
                const title = groupTitle?.(item.group, item.rows) ?? { title: item.group }
                return [
                  ...space,
                  <tr key={`group:${item.group}`} role="row" data-group>
                    <td role="gridcell" colSpan={colSpan}>
                      <button
                        type="button"
                        aria-expanded={open}
                        onClick={() => setClosed(toggled(closed, item.group))}
                        className="flex h-7 w-full items-center gap-2 text-left focus-visible:-outline-offset-2"
                      >
                        {open ? <ChevronDown size={12} aria-hidden /> : <ChevronRight size={12} aria-hidden />}
                        <span>{title.title}</span>
                        <span className="num font-text text-ink-2">{title.note}</span>
                        <span className="num ml-auto font-text">{title.end}</span>
                      </button>
                    </td>
                  </tr>,
                ]
              }
              return [
                ...space,
                <TableRow
                  key={item.id}
                  dom={`${id}-${item.id}`}
                  rowKey={item.id}
                  row={item.row}
                  index={item.index + 2}
                  columns={shownColumns}
                  cursor={item.id === cursor}
                  selected={selection?.has(item.id)}
                  onPick={selection ? pick : undefined}
                  onChoose={choose}
                  onOpen={onOpen}
                  openOnPress={narrow}
                />,
              ]
            })}
            {virtualizer.getTotalSize() + (props.padEnd ?? 0) > end && (
              <SpaceRow height={virtualizer.getTotalSize() + (props.padEnd ?? 0) - end} span={colSpan} />
            )}
          </tbody>
        </table>
        {ordered.length === 0 && props.empty}
      </div>
    </div>
  )
}

function toggled(set: ReadonlySet<string>, key: string): ReadonlySet<string> {
  const next = new Set(set)
  if (!next.delete(key)) next.add(key)
  return next
}
