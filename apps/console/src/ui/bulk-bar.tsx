import { X } from 'lucide-react'
import type { ReactNode } from 'react'
import { IconButton } from './button.tsx'

/** Floats above a table from one selected row: count, verbs, the blast radius of exactly this selection, clear. Verbs that are not allowed stay, off, with the reason. */
export function BulkBar(props: { count: number; onClear: () => void; children: ReactNode; blast?: ReactNode }) {
  if (props.count === 0) return null
  return (
    <div
      role="region"
      aria-label="Selection"
      className="wh-rise absolute bottom-[46px] left-1/2 z-(--z-dock) flex max-w-[calc(100%-32px)] -translate-x-1/2 items-center gap-1.5 rounded-[13px] bg-surface-3 px-2 py-2 pl-4 whitespace-nowrap shadow-e3 ring ring-line-2 narrow:inset-x-2 narrow:bottom-2 narrow:max-w-none narrow:translate-x-0"
    >
      <b className="num font-strong" role="status">
        {props.count} selected
      </b>
      <i className="mx-1.5 h-[22px] w-px bg-line-2 narrow:hidden" />
      <div className="flex min-w-0 items-center gap-1.5 overflow-x-auto p-0.5 [scrollbar-width:none]">
        {props.children}
      </div>
      {props.blast && (
        <div className="flex items-center gap-1.5 narrow:hidden">
          <i className="mx-1.5 h-[22px] w-px bg-line-2" />
          {props.blast}
        </div>
      )}
      <IconButton icon={X} label="Clear the selection" onClick={props.onClear} className="narrow:ml-auto" />
    </div>
  )
}
