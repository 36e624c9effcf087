import type { LucideIcon } from 'lucide-react'
import type { ComponentProps, ReactNode } from 'react'
import { cx } from './cx.ts'
import { Kbd } from './kbd.tsx'
import { Tooltip } from './tooltip.tsx'

export type ButtonTone = 'plain' | 'primary' | 'quiet' | 'danger' | 'danger-solid'

const TONES: Record<ButtonTone, string> = {
  plain: 'bg-surface-2 text-ink wh-edge [&_svg.lucide]:text-ink-2',
  primary: 'bg-accent text-accent-ink shadow-e1 hover:bg-accent-hover',
  quiet: 'text-ink-2 hover:bg-hover aria-expanded:bg-pressed data-[state=open]:bg-pressed',
  danger: 'bg-surface-2 text-failed-text wh-edge',
  'danger-solid': 'bg-surface-2 text-failed-text wh-edge font-strong',
}

export interface ButtonProps extends Omit<ComponentProps<'button'>, 'disabled'> {
  tone?: ButtonTone
  size?: 'md' | 'sm'
  icon?: LucideIcon
  /** The key that presses it, shown inside. */
  hotkey?: string
  /** Why it cannot be pressed now. The button stays, focusable, and says so: a control is never off without its reason. */
  off?: string | false | undefined
  /** Something it started has not answered yet. */
  busy?: boolean
}

/** A button says what happens: verb first. One `primary` in a view. */
export function Button(props: ButtonProps) {
  const {
    tone = 'plain',
    size = 'md',
    icon: Icon,
    hotkey,
    off,
    busy,
    className,
    children,
    onClick,
    type,
    ...rest
  } = props
  const idle = Boolean(off) || busy
  const button = (
    <button
      {...rest}
      type={type ?? 'button'}
      aria-disabled={idle || undefined}
      aria-busy={busy || undefined}
      onClick={idle ? (event) => event.preventDefault() : onClick}
      className={cx(
        'inline-flex items-center justify-center gap-1.5 rounded-r2 font-medium whitespace-nowrap transition-[background,box-shadow] duration-(--t-1)',
        size === 'sm' ? 'h-(--control-h-sm) px-[9px] text-s2' : 'h-(--control-h) px-[11px]',
        off ? 'bg-surface-2 text-ink-off inset-ring inset-ring-line-1 [&_svg]:text-ink-off' : TONES[tone],
        busy && 'opacity-75',
        className,
      )}
    >
      {Icon && <Icon size={size === 'sm' ? 14 : 16} aria-hidden className="-ml-0.5" />}
      {children}
      {hotkey && (
        <span className="contents pointer-coarse:hidden">
          <Kbd onAccent={tone === 'primary' && !off}>{hotkey}</Kbd>
        </span>
      )}
    </button>
  )
  return off ? <Tooltip text={off}>{button}</Tooltip> : button
}

export interface IconButtonProps extends Omit<ComponentProps<'button'>, 'children'> {
  icon: LucideIcon
  /** What it does; its accessible name and its tooltip. */
  label: string
  edged?: boolean
  size?: 'md' | 'sm'
  badge?: ReactNode
}

/** A button of one icon; its name is a tooltip and is what a screen reader says. Not for verbs of an object: those have words. */
export function IconButton(props: IconButtonProps) {
  const { icon: Icon, label, edged, size = 'md', badge, className, type, ...rest } = props
  return (
    <Tooltip text={label}>
      <button
        {...rest}
        type={type ?? 'button'}
        aria-label={label}
        className={cx(
          'relative inline-flex flex-none items-center justify-center gap-[5px] rounded-r2 text-ink-2 transition-colors duration-(--t-1) disabled:text-ink-off',
          size === 'sm' ? 'h-6 min-w-6 px-1' : 'h-(--control-h) min-w-(--control-h) px-[7px]',
          edged ? 'bg-surface-2 wh-edge' : 'hover:bg-hover hover:text-ink data-[state=open]:bg-pressed',
          className,
        )}
      >
        <Icon size={size === 'sm' ? 14 : 16} aria-hidden />
        {badge}
      </button>
    </Tooltip>
  )
}
