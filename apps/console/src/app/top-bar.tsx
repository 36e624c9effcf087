import { Link } from '@tanstack/react-router'
import { Inbox, LogOut, Monitor, Moon, Rows3, Rows4, Search, Settings2, Sun, UserRound } from 'lucide-react'
import type { ReactNode } from 'react'
import { clockTime, span, stamp } from '../ui/age.ts'
import { IconButton } from '../ui/button.tsx'
import { useNow } from '../ui/clock.ts'
import { cx } from '../ui/cx.ts'
import { Kbd, keyWords } from '../ui/kbd.tsx'
import { useNarrow } from '../ui/measure.ts'
import { Menu, Popover } from '../ui/overlay.tsx'
import { KeyValues } from '../ui/page.tsx'
import { Mark } from './mark.tsx'
import { MenuButton, WaitCount } from './frame-parts.tsx'
import { isDark, setPreferences, usePreferences } from './preferences.ts'

export interface LiveState {
  /** live: the stream is open. behind: it is not, data is as of `since`. off: nothing is streamed for this person. */
  state: 'live' | 'behind' | 'off'
  /** The last word from the server, in milliseconds. */
  since?: number | undefined
  version?: string | undefined
  why?: string | undefined
}

export interface TopBarProps {
  tenant: string
  /** The names from section to object; the last is where you are. */
  path: readonly { label: string; to?: string; mono?: boolean }[]
  user: { name: string; roles: readonly string[] }
  inbox: number
  live: LiveState
  folded?: boolean
  onSearch: () => void
  onKeys: () => void
  onMenu: () => void
  onSignOut: () => void
}

/** The top bar: mark, tenant, path, search, the instant, the inbox, theme, account. */
export function TopBar(props: TopBarProps) {
  const narrow = useNarrow()
  return (
    <header className="col-span-full z-(--z-shell) flex items-center gap-2 pr-3.5 narrow:px-1">
      {narrow ? (
        <MenuButton onMenu={props.onMenu} />
      ) : (
        <Link
          to="/"
          className={cx(
            'flex flex-none items-center gap-[9px] text-s4 font-[620] tracking-(--track-tight)',
            props.folded ? 'w-(--nav-w-folded) justify-center' : 'w-(--nav-w) pl-[18px]',
          )}
          aria-label="Wheelhouse, home"
        >
          <Mark />
          {!props.folded && 'Wheelhouse'}
        </Link>
      )}
      <span className="flex items-center gap-2 pl-1.5 font-medium">
        <span
          aria-hidden
          className="grid size-[18px] place-items-center rounded-[5px] bg-accent text-[10px] font-[680] text-accent-ink"
        >
          {props.tenant.slice(0, 1).toUpperCase()}
        </span>
        {props.tenant}
      </span>
      {!narrow && <Path path={props.path} />}
      <span className="flex-1" />
      {narrow ? (
        <IconButton icon={Search} label="Search or run a command" onClick={props.onSearch} className="size-10" />
      ) : (
        <button
          type="button"
          onClick={props.onSearch}
          className="flex h-[30px] w-[296px] min-w-0 items-center gap-2 rounded-r2 bg-surface-1 pr-1.5 pl-[9px] text-ink-3 inset-ring inset-ring-line-2 hover:inset-ring-line-3"
        >
          <Search size={14} aria-hidden />
          <span className="min-w-0 flex-1 truncate text-left">Search or run a command</span>
          {keyWords('mod+k').map((word) => (
            <Kbd key={word}>{word}</Kbd>
          ))}
        </button>
      )}
      {!narrow && <LiveMark live={props.live} />}
      <Link
        to="/inbox"
        aria-label={props.inbox > 0 ? `Inbox, ${props.inbox} wait for you` : 'Inbox'}
        className="flex h-[30px] items-center gap-[5px] rounded-r2 px-[7px] text-ink-2 hover:bg-hover narrow:h-10 narrow:px-2.5"
      >
        <Inbox size={16} aria-hidden />
        {props.inbox > 0 && <WaitCount value={props.inbox} />}
      </Link>
      {!narrow && <ThemeMenu />}
      <AccountMenu {...props} narrow={narrow} />
    </header>
  )
}

function Path(props: { path: TopBarProps['path'] }) {
  return (
    <nav aria-label="Path" className="min-w-0">
      <ol className="flex min-w-0 items-center gap-1.5 pl-1.5 whitespace-nowrap text-ink-3">
        {props.path.map((step, index) => {
          const last = index === props.path.length - 1
          return (
            <li key={`${index}${step.label}`} className={cx('flex items-center gap-1.5', last && 'min-w-0')}>
              <span aria-hidden className="text-line-3">
                /
              </span>
              {last ? (
                <span aria-current="page" className={cx('truncate font-medium text-ink', step.mono && 'mono')}>
                  {step.label}
                </span>
              ) : step.to ? (
                <Link to={step.to} className="hover:text-ink">
                  {step.label}
                </Link>
              ) : (
                step.label
              )}
            </li>
          )
        })}
      </ol>
    </nav>
  )
}

const LIVE_WORDS: Record<LiveState['state'], string> = { live: 'Live', behind: 'Behind', off: 'On request' }

function LiveMark(props: { live: LiveState }) {
  const now = useNow()
  const { live } = props
  const words: [string, ReactNode][] = [
    ['state', LIVE_WORDS[live.state]],
    ...(live.why ? ([['why', live.why]] as [string, ReactNode][]) : []),
    ['last heard', live.since ? `${span(now - live.since)} ago` : 'not yet'],
    ['now', stamp(now)],
    ...(live.version ? ([['server', live.version]] as [string, ReactNode][]) : []),
  ]
  return (
    <Popover
      label="The instant"
      width={300}
      trigger={
        <button
          type="button"
          className="flex h-[30px] items-center gap-[7px] rounded-r2 px-2.5 whitespace-nowrap text-ink-2 hover:bg-hover data-[state=open]:bg-pressed"
        >
          <i
            className="wh-live"
            data-status={live.state === 'live' ? 'ok' : 'unknown'}
            data-beat={live.state === 'live' ? '' : undefined}
          />
          <b className="font-medium text-ink">{LIVE_WORDS[live.state]}</b>
          <time>{clockTime(now)} UTC</time>
        </button>
      }
    >
      <div className="px-4 py-3">
        <KeyValues rows={words.map(([name, value]) => ({ name, value }))} nameWidth={80} />
      </div>
    </Popover>
  )
}

function ThemeMenu() {
  const { theme } = usePreferences()
  const Icon = isDark(theme) ? Moon : Sun
  return (
    <Menu
      label="Theme"
      trigger={<IconButton icon={Icon} label="Theme" />}
      entries={[
        {
          kind: 'choice',
          label: 'As the system',
          icon: Monitor,
          chosen: theme === 'system',
          run: () => setPreferences({ theme: 'system' }),
        },
        {
          kind: 'choice',
          label: 'Light',
          icon: Sun,
          chosen: theme === 'light',
          run: () => setPreferences({ theme: 'light' }),
        },
        {
          kind: 'choice',
          label: 'Dark',
          icon: Moon,
          chosen: theme === 'dark',
          run: () => setPreferences({ theme: 'dark' }),
        },
      ]}
    />
  )
}

function AccountMenu(props: TopBarProps & { narrow: boolean }) {
  const { density, theme } = usePreferences()
  const initials = props.user.name
    .split(/[\s._@-]+/)
    .slice(0, 2)
    .map((part) => part.slice(0, 1).toUpperCase())
    .join('')
  return (
    <Menu
      label="Account"
      width={232}
      trigger={
        <button
          type="button"
          aria-label={`${initials} Account of ${props.user.name}`}
          className="grid size-[30px] flex-none place-items-center rounded-full narrow:size-10"
        >
          <span
            aria-hidden
            className="grid size-[26px] place-items-center rounded-full bg-surface-3 text-[10px] font-[640] text-ink-2 inset-ring inset-ring-line-2"
          >
            {initials || <UserRound size={14} />}
          </span>
        </button>
      }
      entries={[
        { kind: 'title', label: `${props.user.name} · ${props.user.roles.join(', ') || 'no role'}` },
        ...(props.narrow
          ? [
              {
                kind: 'choice' as const,
                label: 'Light',
                icon: Sun,
                chosen: theme === 'light',
                run: () => setPreferences({ theme: 'light' }),
              },
              {
                kind: 'choice' as const,
                label: 'Dark',
                icon: Moon,
                chosen: theme === 'dark',
                run: () => setPreferences({ theme: 'dark' }),
              },
            ]
          : []),
        {
          kind: 'choice',
          label: 'Comfortable rows',
          icon: Rows3,
          chosen: density === 'comfortable',
          run: () => setPreferences({ density: 'comfortable' }),
        },
        {
          kind: 'choice',
          label: 'Compact rows',
          icon: Rows4,
          chosen: density === 'compact',
          run: () => setPreferences({ density: 'compact' }),
        },
        { kind: 'line' },
        { label: 'All keys', icon: Settings2, keys: '?', run: props.onKeys },
        { label: 'Sign out', icon: LogOut, run: props.onSignOut },
      ]}
    />
  )
}
