import { useRef, type ReactNode } from 'react'
import { cx } from './cx.ts'
import { useKeys } from './keys.tsx'

export interface Tab<V extends string = string> {
  value: V
  label: string
  count?: number | undefined
  mark?: ReactNode
}

/** Tabs of one object or dock. Arrow keys move and choose; the panel is the caller's, named with `tabPanel(id, value)`. */
export function Tabs<V extends string>(props: {
  id: string
  label: string
  value: V
  onChange: (value: V) => void
  tabs: readonly Tab<V>[]
  className?: string
  end?: ReactNode
  /** `[` and `]` move between these tabs: for the tabs of the page's object. */
  keys?: boolean
}) {
  const list = useRef<HTMLDivElement>(null)
  const step = (by: number) => {
    const index = props.tabs.findIndex((tab) => tab.value === props.value)
    const next = props.tabs[(index + by + props.tabs.length) % props.tabs.length]
    if (!next) return
    props.onChange(next.value)
    list.current?.querySelector<HTMLElement>(`#${props.id}-tab-${next.value}`)?.focus()
  }
  const to = (by: number) => {
    const index = props.tabs.findIndex((tab) => tab.value === props.value)
    const next = props.tabs[(index + by + props.tabs.length) % props.tabs.length]
    if (next) props.onChange(next.value)
  }
  useKeys(
    [
      { keys: '[', label: 'Previous tab', group: 'Page', run: () => to(-1) },
      { keys: ']', label: 'Next tab', group: 'Page', run: () => to(1) },
    ],
    Boolean(props.keys),
  )
  return (
    <div className={cx('flex items-center border-b border-line-1', props.className)}>
      <div
        ref={list}
        role="tablist"
        aria-label={props.label}
        onKeyDown={(event) => {
          if (event.key === 'ArrowRight') step(1)
          else if (event.key === 'ArrowLeft') step(-1)
          else return
          event.preventDefault()
        }}
        className="flex min-w-0 flex-1 gap-0.5 self-stretch overflow-x-auto [scrollbar-width:none]"
      >
        {props.tabs.map((tab) => {
          const chosen = tab.value === props.value
          return (
            <button
              key={tab.value}
              type="button"
              role="tab"
              id={`${props.id}-tab-${tab.value}`}
              aria-selected={chosen}
              aria-controls={chosen ? `${props.id}-panel-${tab.value}` : undefined}
              tabIndex={chosen ? 0 : -1}
              onClick={() => props.onChange(tab.value)}
              className={cx(
                'relative flex h-9 flex-none items-center gap-1.5 px-[9px] font-medium whitespace-nowrap focus-visible:-outline-offset-2',
                chosen
                  ? 'text-ink after:absolute after:inset-x-[9px] after:bottom-0 after:h-0.5 after:rounded-t-[2px] after:bg-accent'
                  : 'text-ink-2 hover:text-ink',
              )}
            >
              {tab.label}
              {tab.count !== undefined && (
                <span className="num text-s1 font-text text-ink-3">{tab.count.toLocaleString('en')}</span>
              )}
              {tab.mark}
            </button>
          )
        })}
      </div>
      {props.end && <div className="flex flex-none items-center gap-2 pl-2">{props.end}</div>}
    </div>
  )
}

/** The attributes of the panel that belongs to one tab. */
export function tabPanel(id: string, value: string) {
  return {
    role: 'tabpanel',
    id: `${id}-panel-${value}`,
    'aria-labelledby': `${id}-tab-${value}`,
    // It scrolls: who works by keys must be able to stand in it.
    tabIndex: 0,
  } as const
}
