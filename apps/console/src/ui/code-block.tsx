import { useMemo, type ReactNode } from 'react'
import { CopyButton } from './copy-button.tsx'
import { cx } from './cx.ts'

/** What a machine said or will be told, on the well, with a copy button. Long text scrolls inside it. */
export function CodeBlock(props: {
  text: string
  children?: ReactNode
  label: string
  maxHeight?: number
  wrap?: boolean
  className?: string
  /** Stands above it, where the place does not say what it is. */
  title?: string
}) {
  return (
    <div className={cx('group relative rounded-r2 border border-line-1 bg-well', props.className)}>
      {props.title && <p className="px-[11px] pt-1.5 text-s1 text-ink-3">{props.title}</p>}
      <pre
        tabIndex={0}
        role="region"
        aria-label={props.label}
        style={{ maxHeight: props.maxHeight ?? 360 }}
        className={cx(
          'overflow-auto py-2 pr-9 pl-[11px] leading-[18px] text-ink-2',
          props.wrap && '[overflow-wrap:anywhere] whitespace-pre-wrap',
        )}
      >
        {props.children ?? props.text}
      </pre>
      <div className="absolute top-1 right-1 rounded-r2 bg-well">
        <CopyButton text={props.text} label={`Copy ${props.label.toLowerCase()}`} />
      </div>
    </div>
  )
}

/** One command to run, in one line, with its copy button. */
export function CommandLine(props: { command: string; label?: string }) {
  return (
    <div className="flex min-w-0 items-center gap-1 rounded-r2 border border-line-1 bg-well py-1 pr-1 pl-[11px]">
      <code
        className="min-w-0 flex-1 overflow-x-auto whitespace-nowrap text-ink [scrollbar-width:none]"
        tabIndex={0}
        aria-label={props.label ?? 'Command'}
      >
        {props.command}
      </code>
      <CopyButton text={props.command} label="Copy command" />
    </div>
  )
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

/** JSON as written by a machine: keys quiet, strings and numbers apart. Long values wrap: who decides on them must see all of them. */
export function JsonView(props: { value: unknown; label: string; title?: string; maxHeight?: number }) {
  const text = useMemo(() => JSON.stringify(props.value, null, 2) ?? 'undefined', [props.value])
  const parts = useMemo(() => {
    // Beyond this size colour costs more than it tells.
    if (text.length > 60_000) return [text]
    const out: ReactNode[] = []
    let last = 0
    for (const match of text.matchAll(TOKEN)) {
      out.push(text.slice(last, match.index))
      const [whole, string, colon, word] = match
      const tone = string ? (colon ? 'text-ink-3' : 'text-ink') : word ? 'text-waiting-text' : 'text-accent-text'
      out.push(
        <span key={match.index} className={tone}>
          {string ?? whole}
        </span>,
      )
      if (colon) out.push(colon)
      last = match.index + whole.length
    }
    out.push(text.slice(last))
    return out
  }, [text])
  return (
    <CodeBlock text={text} label={props.label} title={props.title} maxHeight={props.maxHeight} wrap>
      {parts}
    </CodeBlock>
  )
}
