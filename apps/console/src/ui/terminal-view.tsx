import { lazy, Suspense } from 'react'
import type { TerminalViewProps } from './terminal-link.ts'

export type { TerminalLink } from './terminal-link.ts'

const TerminalCanvas = lazy(() =>
  import('./terminal-canvas.tsx').then((module) => ({ default: module.TerminalCanvas })),
)

/** A shell, dark in both themes. The emulator is loaded only where a terminal is open. */
export function TerminalView(props: TerminalViewProps) {
  return (
    <div className="flex min-h-0 flex-1 flex-col bg-terminal text-(--text-term)">
      <div className="relative min-h-0 flex-1">
        <Suspense fallback={<p className="wh-late p-3.5 text-s2 text-(--text-term-2)">Opening the terminal</p>}>
          <TerminalCanvas {...props} />
        </Suspense>
      </div>
      <div className="flex min-h-7 flex-none flex-wrap items-center gap-x-2.5 overflow-hidden border-t border-[oklch(0.95_0_0/0.09)] px-3.5 text-s1 whitespace-nowrap text-(--text-term-2)">
        {props.foot}
        <span className="ml-auto">esc esc leaves</span>
      </div>
    </div>
  )
}
