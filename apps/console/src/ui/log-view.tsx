import { useVirtualizer } from '@tanstack/react-virtual'
import { ArrowDown } from 'lucide-react'
import { memo, useEffect, useMemo, useRef, useState } from 'react'
import { clockTime, stamp } from './age.ts'
import { ansiParts, plainText } from './ansi.ts'
import { copyText } from './copy-button.tsx'
import { cx } from './cx.ts'
import { useKeys } from './keys.tsx'
import { useNarrow } from './measure.ts'

export interface LogLine {
  id: string
  /** Milliseconds. */
  at: number
  level?: 'debug' | 'info' | 'warn' | 'error'
  source?: string
  text: string
}

export interface LogViewProps {
  lines: readonly LogLine[]
  label: string
  /** Highlighted in every line; the lines themselves are the caller's choice. */
  search?: string
  /** Nothing new is shown while it holds; `behind` says how many lines wait. */
  paused?: boolean
  behind?: number
  onResume?: () => void
  wrap?: boolean
  dates?: boolean
  /** Whether the level is written; its edge and tint stand all the same. */
  levels?: boolean
  /** The line that a link points at. */
  marked?: string | undefined
  onMark?: (id: string | undefined) => void
  /** Scrolled to the first line: older ones are wanted. */
  onStart?: () => void
  className?: string
}

const LINE = 19

/** Lines as they come, up to tens of thousands. The tail follows until you scroll; then new lines are counted and one press jumps to them. Lines can be marked (and linked to) and copied. */
export function LogView(props: LogViewProps) {
  const { lines, wrap = false, marked, onStart } = props
  const scroller = useRef<HTMLDivElement>(null)
  const narrow = useNarrow()
  const [following, setFollowing] = useState(true)
  const [seen, setSeen] = useState(lines.length)
  const needle = props.search?.trim().toLowerCase() ?? ''

  const virtualizer = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE,
    getItemKey: (index) => lines[index]?.id ?? index,
    overscan: 20,
  })
  useEffect(() => virtualizer.measure(), [virtualizer, wrap])

  const total = lines.length
  useEffect(() => {
    if (!following || total === 0) return
    const element = scroller.current
    if (element) element.scrollTop = element.scrollHeight
    setSeen(total)
  }, [following, total, virtualizer])

  useEffect(() => {
    if (!marked) return
    const index = lines.findIndex((line) => line.id === marked)
    if (index < 0) return
    setFollowing(false)
    virtualizer.scrollToIndex(index, { align: 'center' })
    // The lines move on; only a new mark moves the view.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [marked])

  const onScroll = () => {
    const element = scroller.current
    if (!element) return
    const bottom = element.scrollHeight - element.scrollTop - element.clientHeight < LINE * 1.5
    if (bottom !== following) {
      setFollowing(bottom)
      setSeen(total)
    }
    if (element.scrollTop < LINE * 4) onStart?.()
  }
  const jump = () => {
    props.onResume?.()
    setFollowing(true)
  }
  const behind = props.paused ? (props.behind ?? 0) : following ? 0 : total - seen

  useKeys([
    { keys: 'shift+g', label: 'Jump to the newest line', group: 'Logs', run: jump },
    {
      keys: 'c',
      label: 'Copy the marked line',
      group: 'Logs',
      run: () => {
        const line = lines.find((other) => other.id === marked)
        if (line)
          void copyText(
            `${new Date(line.at).toISOString()} ${line.level ?? ''} ${line.source ?? ''} ${plainText(line.text)}`,
          )
      },
    },
  ])

  return (
    <div className={cx('relative flex min-h-0 flex-1 flex-col bg-well', props.className)}>
      <div
        ref={scroller}
        role="log"
        aria-label={props.label}
        aria-live="off"
        tabIndex={0}
        onScroll={onScroll}
        className="min-h-0 flex-1 overflow-auto py-[5px] font-mono text-[0.71875rem] leading-[19px] text-ink-2 [font-variant-numeric:slashed-zero] focus-visible:-outline-offset-2"
      >
        <div className="relative" style={{ height: virtualizer.getTotalSize() }}>
          {virtualizer.getVirtualItems().map((item) => {
            const line = lines[item.index]
            return (
              line && (
                <div
                  key={item.key}
                  ref={wrap ? virtualizer.measureElement : undefined}
                  data-index={item.index}
                  className="absolute inset-x-0 top-0"
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  <Line
                    line={line}
                    needle={needle}
                    wrap={wrap}
                    narrow={narrow}
                    dates={props.dates ?? false}
                    levels={props.levels ?? true}
                    marked={line.id === marked}
                    onMark={props.onMark}
                  />
                </div>
              )
            )
          })}
        </div>
      </div>
      {behind > 0 && (
        <button
          type="button"
          onClick={jump}
          className="wh-rise absolute bottom-3 left-1/2 flex -translate-x-1/2 items-center gap-1.5 rounded-full bg-surface-3 px-3 py-1 text-s2 font-medium text-accent-text shadow-e3 ring ring-line-2"
        >
          <ArrowDown size={14} aria-hidden />
          <span className="num">{behind.toLocaleString('en')} new, jump</span>
        </button>
      )}
    </div>
  )
}

const EDGE = { warn: 'warning', error: 'failed' } as const

const Line = memo(function Line(props: {
  line: LogLine
  needle: string
  wrap: boolean
  narrow: boolean
  dates: boolean
  levels: boolean
  marked: boolean
  onMark: ((id: string | undefined) => void) | undefined
}) {
  const { line, marked, onMark, wrap } = props
  const edge = line.level === 'warn' || line.level === 'error' ? EDGE[line.level] : undefined
  const at = new Date(line.at)
  const ms = String(at.getUTCMilliseconds()).padStart(3, '0')
  return (
    <div
      data-status={edge}
      onClick={onMark && (() => window.getSelection()?.isCollapsed !== false && onMark(marked ? undefined : line.id))}
      className={cx(
        'flex gap-2.5 pr-3.5 pl-3',
        wrap ? 'min-w-0' : 'min-w-max',
        edge && 'shadow-[inset_2px_0_0_var(--c)]',
        line.level === 'error' && 'bg-[color-mix(in_oklab,var(--failed-soft)_60%,transparent)]',
        marked ? 'bg-selected' : onMark && 'hover:bg-hover',
      )}
    >
      <span title={stamp(line.at)} className="flex-none text-ink-3">
        {props.dates && `${at.toISOString().slice(5, 10)} `}
        {clockTime(line.at)}
        {!props.narrow && `.${ms}`}
      </span>
      {props.levels && line.level && (
        <span className={cx('w-[38px] flex-none', edge ? 'font-[560] text-st-text' : 'text-ink-3')}>{line.level}</span>
      )}
      {line.source && !props.narrow && (
        <span className="w-[92px] flex-none truncate text-accent-text">{line.source}</span>
      )}
      <span
        className={cx(
          'flex-1',
          wrap ? 'min-w-0 break-all whitespace-pre-wrap' : 'whitespace-pre',
          line.level === 'error' && 'text-ink',
        )}
      >
        <Text text={line.text} needle={props.needle} />
      </span>
    </div>
  )
})

function Text(props: { text: string; needle: string }) {
  const parts = useMemo(() => ansiParts(props.text), [props.text])
  return parts.map((part, index) => (
    <span key={index} className={part.tone || undefined}>
      <Marked text={part.text} needle={props.needle} />
    </span>
  ))
}

/** Text with every occurrence of the (lower-case) needle marked. */
export function Marked(props: { text: string; needle: string }) {
  const { text, needle } = props
  if (!needle) return text
  const lower = text.toLowerCase()
  const out = []
  let from = 0
  for (let hit = lower.indexOf(needle); hit >= 0; hit = lower.indexOf(needle, from)) {
    out.push(text.slice(from, hit))
    from = hit + needle.length
    out.push(
      <mark key={hit} className="rounded-[2px] bg-[color-mix(in_oklab,var(--warning)_30%,transparent)] text-inherit">
        {text.slice(hit, from)}
      </mark>,
    )
  }
  out.push(text.slice(from))
  return out
}
