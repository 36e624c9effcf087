import { lazy, Suspense, type ReactNode } from 'react'

const TerminalCanvas = lazy(() =>
  import('./terminal-canvas.tsx').then((module) => ({ default: module.TerminalCanvas })),
)

/** What connects a terminal to its shell: bytes as text, both ways, and the size. */
export interface TerminalLink {
  /** Called for everything typed or pasted. */
  send: (data: string) => void
  resize: (cols: number, rows: number) => void
  /** Calls `write` for all output until the returned function is called. */
  open: (write: (data: string) => void, cols: number, rows: number) => () => void
}

export interface TerminalViewProps {
  link: TerminalLink
  label: string
  /** Facts at the foot: recorded, idle limit, shell and size. */
  foot?: ReactNode
  /** `esc esc` leaves the terminal, so that focus is never trapped. */
  onLeave?: () => void
}

/** A shell, dark in both themes. The emulator is loaded only where a terminal is open. */
export function TerminalView(props: TerminalViewProps) {
  return (
    <div className="flex min-h-0 flex-1 flex-col bg-terminal text-(--text-term)">
      <div className="relative min-h-0 flex-1">
        <Suspense fallback={<p className="wh-late p-3.5 text-s2 text-(--text-term-2)">Opening the terminal</p>}>
          <TerminalCanvas {...props} />
        </Suspense>
      </div>
      <div className="flex h-7 flex-none items-center gap-2.5 overflow-hidden border-t border-[oklch(0.95_0_0/0.09)] px-3.5 text-s1 whitespace-nowrap text-(--text-term-2)">
        {props.foot}
        <span className="ml-auto">esc esc leaves</span>
      </div>
    </div>
  )
}
