import type { ReactNode } from 'react'
import { useNow } from './clock.ts'
import { keyWords, Kbd } from './kbd.tsx'
import { span } from './age.ts'

/** Under a table: how many, how fresh, which keys. */
export function TableFoot(props: {
  count: ReactNode
  /** When the rows were read, in milliseconds. */
  fresh?: number | undefined
  live?: boolean
  keys?: readonly [key: string, words: string][]
}) {
  return (
    <footer className="flex h-[34px] flex-none items-center gap-3.5 overflow-hidden border-t border-line-1 px-4 text-s2 whitespace-nowrap text-ink-3 narrow:hidden">
      {props.count !== '' && <span className="num">{props.count}</span>}
      {props.fresh !== undefined && <Fresh at={props.fresh} live={props.live ?? false} />}
      <span className="flex-1" />
      {props.keys?.map(([key, words]) => (
        <span key={key} className="flex items-center gap-1.5">
          {keyWords(key).map((word) => (
            <Kbd key={word}>{word}</Kbd>
          ))}
          {words}
        </span>
      ))}
    </footer>
  )
}

function Fresh(props: { at: number; live: boolean }) {
  const now = useNow()
  return (
    <span className="num flex items-center gap-1.5">
      <i className="wh-live" data-status={props.live ? 'ok' : 'unknown'} />
      updated {span(Math.floor((now - props.at) / 1000) * 1000)} ago
    </span>
  )
}
