import { Link, useRouterState } from '@tanstack/react-router'
import { PanelLeftClose, PanelLeftOpen } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { IconButton } from '../ui/button.tsx'
import { cx } from '../ui/cx.ts'
import { useNarrow } from '../ui/measure.ts'
import { Sheet } from '../ui/overlay.tsx'
import { StatusShape } from '../ui/status.tsx'
import { Tooltip } from '../ui/tooltip.tsx'
import { WaitCount } from './frame-parts.tsx'
import { setPreferences, usePreferences } from './preferences.ts'
import { SECTIONS, type SectionEntry } from './sections.ts'
import { TopBar, type TopBarProps } from './top-bar.tsx'

export interface FrameProps extends Omit<TopBarProps, 'onMenu'> {
  /** A muted number beside an entry; `alert` gives it the failed shape. */
  counts?: Partial<Record<SectionEntry['to'], { value: number; alert?: boolean; waits?: boolean }>>
  foot?: ReactNode
  children: ReactNode
}

/** The frame of every page: top bar, navigation, and one sheet for the page. Under 760 px the navigation becomes a bottom bar of five and a sheet. */
export function Frame(props: FrameProps) {
  const { navFolded } = usePreferences()
  const narrow = useNarrow()
  const [menu, setMenu] = useState(false)
  const folded = navFolded && !narrow
  return (
    <div
      className="grid h-dvh"
      style={{
        gridTemplate: narrow
          ? 'var(--topbar-h) minmax(0, 1fr) auto / minmax(0, 1fr)'
          : `var(--topbar-h) minmax(0, 1fr) / ${folded ? 'var(--nav-w-folded)' : 'var(--nav-w)'} minmax(0, 1fr)`,
      }}
    >
      <a
        href="#page"
        className="sr-only z-(--z-palette) rounded-r2 bg-accent px-3 py-1.5 text-accent-ink focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
      >
        Skip to the page
      </a>
      <TopBar {...props} folded={folded} onMenu={() => setMenu(true)} />
      {!narrow && (
        <nav
          aria-label="Sections"
          className={cx('flex flex-col overflow-y-auto pt-0.5 pb-3', folded ? 'px-2' : 'px-2.5')}
        >
          <Entries counts={props.counts} folded={folded} />
          <div
            className={cx(
              'mt-auto flex items-end gap-2 pt-2.5 text-s1 text-ink-3',
              folded ? 'justify-center' : 'justify-between pl-[9px]',
            )}
          >
            {!folded && <div className="min-w-0">{props.foot}</div>}
            <IconButton
              icon={folded ? PanelLeftOpen : PanelLeftClose}
              label={folded ? 'Unfold the navigation' : 'Fold the navigation'}
              size="sm"
              onClick={() => setPreferences({ navFolded: !navFolded })}
            />
          </div>
        </nav>
      )}
      <main
        id="page"
        tabIndex={-1}
        className="relative flex min-w-0 flex-col overflow-hidden border-line-2 bg-surface-1 outline-none wide:rounded-tl-r4 wide:border-t wide:border-l narrow:border-t"
      >
        {props.children}
      </main>
      {narrow && <BottomBar counts={props.counts} />}
      <Sheet open={menu} onOpenChange={setMenu} title="Wheelhouse" side="left" width={280}>
        <nav aria-label="All sections" className="flex flex-col px-2.5 py-1" onClick={() => setMenu(false)}>
          <Entries counts={props.counts} folded={false} />
        </nav>
        <div className="px-5 py-3 text-s1 text-ink-3">{props.foot}</div>
      </Sheet>
    </div>
  )
}

function useCurrent(): string {
  const path = useRouterState({ select: (state) => state.location.pathname })
  const first = path.split('/')[1] ?? ''
  // A run is a part of its workflow.
  return first === 'runs' ? '/workflows' : `/${first}`
}

function Entries(props: { counts: FrameProps['counts']; folded: boolean }) {
  const current = useCurrent()
  return SECTIONS.map((section) => (
    <div key={section.title ?? 'first'} role="group" aria-label={section.title ?? 'Overview'}>
      {section.title && !props.folded && (
        <h2 className="px-[9px] pt-3.5 pb-1 text-s1 font-medium text-ink-3">{section.title}</h2>
      )}
      {section.title && props.folded && <i className="mx-2 my-2 block h-px bg-line-2" />}
      {section.entries.map((entry) => {
        const count = props.counts?.[entry.to]
        const here = current === entry.to
        const link = (
          <Link
            to={entry.to}
            aria-current={here ? 'page' : undefined}
            aria-label={props.folded ? entry.label : undefined}
            className={cx(
              'flex h-7 items-center gap-[9px] rounded-r2 pr-2 pl-[9px] transition-colors duration-(--t-1) pointer-coarse:h-11',
              here
                ? 'bg-surface-3 font-medium text-ink shadow-e1 inset-ring inset-ring-line-1 [&_svg.lucide]:text-accent-text'
                : 'font-[460] text-ink-2 hover:bg-hover hover:text-ink [&_svg.lucide]:text-ink-3',
            )}
          >
            <entry.icon size={16} aria-hidden />
            {!props.folded && entry.label}
            {!props.folded && count && count.value > 0 && <EntryCount {...count} />}
          </Link>
        )
        return (
          <div key={entry.to}>
            {props.folded ? (
              <Tooltip text={count ? `${entry.label}, ${count.value}` : entry.label} side="right">
                {link}
              </Tooltip>
            ) : (
              link
            )}
          </div>
        )
      })}
    </div>
  ))
}

function EntryCount(props: { value: number; alert?: boolean; waits?: boolean }) {
  if (props.waits) return <WaitCount value={props.value} className="ml-auto" />
  return (
    <span className="num ml-auto inline-flex items-center gap-1 text-s1 text-ink-3">
      {props.alert && <StatusShape status="failed" size={12} label="alert" />}
      {props.value.toLocaleString('en')}
    </span>
  )
}

function BottomBar(props: { counts: FrameProps['counts'] }) {
  const current = useCurrent()
  const entries = SECTIONS.flatMap((section) => section.entries).filter((entry) => entry.bottom)
  return (
    <nav
      aria-label="Main sections"
      className="grid h-[58px] grid-cols-5 border-t border-line-2 bg-surface-0 pb-[env(safe-area-inset-bottom)]"
    >
      {entries.map((entry) => {
        const waits = props.counts?.[entry.to]?.waits ? props.counts[entry.to]?.value : undefined
        const here = current === entry.to
        return (
          <Link
            key={entry.to}
            to={entry.to}
            aria-current={here ? 'page' : undefined}
            className={cx(
              'relative grid place-content-center place-items-center gap-[3px] text-s1 leading-[14px] font-medium',
              here ? 'text-accent-text' : 'text-ink-2',
            )}
          >
            <entry.icon size={20} strokeWidth={1.5} aria-hidden />
            {entry.label}
            {Boolean(waits) && <WaitCount value={waits ?? 0} className="absolute top-[5px] left-[calc(50%+5px)]" />}
          </Link>
        )
      })}
    </nav>
  )
}
