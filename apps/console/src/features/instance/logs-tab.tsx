import { ArrowDownToLine, Link2, Pause, Play, Search, WrapText } from 'lucide-react'
import { useDeferredValue, useEffect, useMemo, useState } from 'react'
import { useLogs } from '../../api/fleet.ts'
import { useLogTail } from '../../api/instance-streams.ts'
import type { Log, LogLevel } from '../../api/wire.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { count } from '../../ui/age.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { copyText } from '../../ui/copy-button.tsx'
import { cx } from '../../ui/cx.ts'
import { useKeys } from '../../ui/keys.tsx'
import { LogHistogram } from '../../ui/log-histogram.tsx'
import { LogView, type LogLine } from '../../ui/log-view.tsx'
import { EmptyState, SkeletonRows, StaleLine } from '../../ui/states.tsx'
import { toast } from '../../ui/toast.tsx'

const LEVELS: readonly LogLevel[] = ['ERROR', 'WARN', 'INFO', 'DEBUG']

function lineOf(log: Log): LogLine {
  const unit = log.metadata?.['unit'] ?? log.metadata?.['path']
  return {
    id: log.id,
    at: Date.parse(log.timestamp),
    level: log.level.toLowerCase() as NonNullable<LogLine['level']>,
    source: typeof unit === 'string' ? unit : log.source.toLowerCase(),
    text: log.message,
  }
}

/** Lines of one instance: what was, then what comes. Search and levels stand in the address; the tail can be paused. */
export function LogsTab(props: { id: string; name: string; compact?: boolean }) {
  const { id } = props
  const [url, setUrl] = useUrlState()
  const [text, setText] = useState(url['find'] ?? '')
  const [paused, setPaused] = useState(false)
  const [wrap, setWrap] = useState(false)
  const search = useDeferredValue(text)
  const levels = useMemo(() => (url['level'] ?? '').split(',').filter(Boolean), [url])
  const stored = useLogs(id, url['find'] ?? '', levels)
  const tail = useLogTail(id, paused)

  useEffect(() => {
    if (search === (url['find'] ?? '')) return
    const timer = setTimeout(() => setUrl({ find: search }), 300)
    return () => clearTimeout(timer)
  }, [search, url, setUrl])

  const lines = useMemo(() => {
    const wanted = (url['find'] ?? '').toLowerCase()
    const fits = (log: Log) =>
      (levels.length === 0 || levels.includes(log.level)) && (!wanted || log.message.toLowerCase().includes(wanted))
    const seen = new Set(stored.data?.lines.map((log) => log.id))
    return [...(stored.data?.lines ?? []), ...tail.lines.filter((log) => !seen.has(log.id) && fits(log))].map(lineOf)
  }, [stored.data, tail.lines, levels, url])

  const marked = url['line']
  useKeys([{ keys: 'p', label: 'Pause or follow the tail', group: 'Logs', run: () => setPaused(!paused) }])
  const toggle = (level: LogLevel) => {
    const next = levels.includes(level) ? levels.filter((other) => other !== level) : [...levels, level]
    setUrl({ level: next.join() })
  }

  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div className="flex flex-none flex-wrap items-center gap-2 border-b border-line-1 bg-surface-2 px-3 py-1.5">
        <label className="flex h-(--control-h-sm) min-w-40 flex-1 items-center gap-2 rounded-r2 bg-surface-1 px-2 inset-ring inset-ring-line-3 focus-within:outline-2 focus-within:-outline-offset-1 focus-within:outline-accent">
          <Search size={14} aria-hidden className="text-ink-3" />
          <input
            type="search"
            aria-label="Find in the log"
            value={text}
            onChange={(event) => setText(event.target.value)}
            placeholder="Find in the log"
            className="min-w-0 flex-1 bg-transparent text-s2 outline-none"
          />
        </label>
        <div role="group" aria-label="Levels" className="flex gap-1">
          {LEVELS.map((level) => (
            <button
              key={level}
              type="button"
              aria-pressed={levels.includes(level)}
              onClick={() => toggle(level)}
              className={cx(
                'h-(--control-h-sm) rounded-r2 px-2 text-s2',
                levels.includes(level) ? 'bg-accent-soft font-medium text-ink' : 'text-ink-2 hover:bg-hover',
              )}
            >
              {level.toLowerCase()}
            </button>
          ))}
        </div>
        <span className="num text-s2 whitespace-nowrap text-ink-3 narrow:hidden">
          {count(lines.length)}{' '}
          {stored.data && stored.data.total > stored.data.lines.length
            ? `of ${count(stored.data.total)} lines`
            : 'lines'}
        </span>
        <IconButton
          icon={WrapText}
          label={wrap ? 'One line each' : 'Wrap long lines'}
          size="sm"
          aria-pressed={wrap}
          onClick={() => setWrap(!wrap)}
        />
        {marked && (
          <IconButton
            icon={Link2}
            label="Copy a link to the marked line"
            size="sm"
            onClick={() => void copyText(location.href).then(() => toast({ status: 'ok', title: 'Link copied' }))}
          />
        )}
        <Button size="sm" icon={paused ? Play : Pause} onClick={() => setPaused(!paused)}>
          {paused ? 'Follow' : 'Pause'}
        </Button>
      </div>
      {!tail.open && stored.data && (
        <StaleLine
          since={stored.dataUpdatedAt}
          why="The stream of new lines is not open."
          onRetry={() => void stored.refetch()}
        />
      )}
      {stored.isPending ? (
        <SkeletonRows rows={12} height={19} />
      ) : stored.isError && !stored.data ? (
        <FailureView error={stored.error} what="the log" onRetry={() => void stored.refetch()} />
      ) : lines.length === 0 ? (
        <EmptyState icon={ArrowDownToLine} title={text || levels.length > 0 ? 'No line matches' : 'No lines yet'}>
          {text || levels.length > 0
            ? 'Lines that match appear here as they come.'
            : 'What this instance writes appears here as it comes.'}
        </EmptyState>
      ) : (
        <>
          {!props.compact && <LogHistogram lines={lines} onJump={(line) => setUrl({ line })} />}
          <LogView
            label={`Log of ${props.name}`}
            lines={lines}
            search={url['find'] ?? ''}
            wrap={wrap}
            paused={paused}
            behind={tail.waiting}
            onResume={() => setPaused(false)}
            marked={marked}
            onMark={(line) => setUrl({ line })}
          />
        </>
      )}
    </div>
  )
}
