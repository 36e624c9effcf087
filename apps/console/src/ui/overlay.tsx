import { X } from 'lucide-react'
import { Dialog as RadixDialog, DropdownMenu, Popover as RadixPopover } from 'radix-ui'
import type { LucideIcon } from 'lucide-react'
import { useRef, type ReactElement, type ReactNode } from 'react'
import { IconButton } from './button.tsx'
import { cx } from './cx.ts'
import { keyWords, Kbd } from './kbd.tsx'

const GROUND = 'bg-surface-3 shadow-e3 ring ring-line-2'

/** A modal for what needs the whole attention: a form, a reason. Never above another modal. Primary action right. */
export function Dialog(props: {
  open: boolean
  onOpenChange: (open: boolean) => void
  title: ReactNode
  description?: ReactNode
  children: ReactNode
  footer?: ReactNode
  width?: number
}) {
  return (
    <RadixDialog.Root open={props.open} onOpenChange={props.onOpenChange}>
      <RadixDialog.Portal>
        <RadixDialog.Overlay className="wh-appear fixed inset-0 z-(--z-dialog) bg-overlay" />
        <RadixDialog.Content
          style={{ maxWidth: props.width ?? 520 }}
          className={cx(
            GROUND,
            'wh-appear fixed top-[max(24px,12vh)] left-1/2 z-(--z-dialog) flex max-h-[76vh] w-[calc(100vw-32px)] -translate-x-1/2 flex-col rounded-r4 outline-none',
          )}
          onOpenAutoFocus={focusFirstField}
          {...(props.description ? {} : { 'aria-describedby': undefined })}
        >
          <header className="flex items-start gap-3 px-5 pt-4">
            <div className="min-w-0 flex-1">
              <RadixDialog.Title className="text-s5 font-strong tracking-(--track-tight)">
                {props.title}
              </RadixDialog.Title>
              {props.description && (
                <RadixDialog.Description className="mt-0.5 text-ink-2">{props.description}</RadixDialog.Description>
              )}
            </div>
            <RadixDialog.Close asChild>
              <IconButton icon={X} label="Close" className="-mr-2" />
            </RadixDialog.Close>
          </header>
          <div className="min-h-0 flex-1 overflow-y-auto px-5 py-4">{props.children}</div>
          {props.footer && (
            <footer className="flex flex-wrap items-center justify-end gap-2 border-t border-line-1 px-5 py-3">
              {props.footer}
            </footer>
          )}
        </RadixDialog.Content>
      </RadixDialog.Portal>
    </RadixDialog.Root>
  )
}

// A dialog begins at its first field; without one, at itself and not at its close button.
function focusFirstField(event: Event) {
  const content = event.currentTarget
  if (!(content instanceof HTMLElement)) return
  event.preventDefault()
  const field = content.querySelector<HTMLElement>('input, textarea, select, [role=combobox]')
  if (field) field.focus()
  else {
    content.tabIndex = -1
    content.focus()
  }
}

/** A sheet from the bottom or the right: facets on a narrow screen, the navigation folded away. */
export function Sheet(props: {
  open: boolean
  onOpenChange: (open: boolean) => void
  title: string
  side: 'bottom' | 'left' | 'right'
  children: ReactNode
  width?: number
}) {
  const place = {
    bottom: 'inset-x-0 bottom-0 max-h-[82vh] rounded-t-r4',
    left: 'inset-y-0 left-0',
    right: 'inset-y-0 right-0',
  }[props.side]
  return (
    <RadixDialog.Root open={props.open} onOpenChange={props.onOpenChange}>
      <RadixDialog.Portal>
        <RadixDialog.Overlay className="wh-appear fixed inset-0 z-(--z-dialog) bg-overlay" />
        <RadixDialog.Content
          aria-describedby={undefined}
          onOpenAutoFocus={focusFirstField}
          style={props.side === 'bottom' ? undefined : { width: `min(${props.width ?? 480}px, calc(100vw - 40px))` }}
          className={cx(GROUND, 'wh-rise fixed z-(--z-dialog) flex flex-col outline-none', place)}
        >
          <header className="flex h-12 flex-none items-center justify-between border-b border-line-1 pr-2 pl-4">
            <RadixDialog.Title className="text-s4 font-strong">{props.title}</RadixDialog.Title>
            <RadixDialog.Close asChild>
              <IconButton icon={X} label="Close" />
            </RadixDialog.Close>
          </header>
          <div className="min-h-0 flex-1 overflow-y-auto">{props.children}</div>
        </RadixDialog.Content>
      </RadixDialog.Portal>
    </RadixDialog.Root>
  )
}

/** A panel at its control. It closes on escape and on a press elsewhere. */
export function Popover(props: {
  trigger: ReactElement
  children: ReactNode
  open?: boolean
  onOpenChange?: (open: boolean) => void
  align?: 'start' | 'center' | 'end'
  width?: number
  label: string
  onKeyDown?: (event: React.KeyboardEvent) => void
}) {
  return (
    <RadixPopover.Root open={props.open} onOpenChange={props.onOpenChange}>
      <RadixPopover.Trigger asChild>{props.trigger}</RadixPopover.Trigger>
      <RadixPopover.Portal>
        <RadixPopover.Content
          aria-label={props.label}
          align={props.align ?? 'end'}
          sideOffset={6}
          collisionPadding={12}
          onKeyDown={props.onKeyDown}
          style={{ width: `min(${props.width ?? 340}px, calc(100vw - 24px))` }}
          className={cx(GROUND, 'wh-rise z-(--z-popover) rounded-r3 outline-none')}
        >
          {props.children}
        </RadixPopover.Content>
      </RadixPopover.Portal>
    </RadixPopover.Root>
  )
}

export type MenuEntry =
  | {
      kind?: 'item'
      label: string
      icon?: LucideIcon
      keys?: string
      off?: string | undefined
      danger?: boolean
      /** It opens something of its own, which takes the focus. */
      opens?: boolean
      run: () => void
    }
  | { kind: 'choice'; label: string; chosen: boolean; icon?: LucideIcon; run: () => void }
  | { kind: 'title'; label: string }
  | { kind: 'line' }

/** Verbs in words, icons beside them. A verb that is not allowed stays, off, with its reason under it. */
export function Menu(props: {
  trigger: ReactElement
  entries: MenuEntry[]
  label: string
  align?: 'start' | 'end'
  width?: number
  open?: boolean
  onOpenChange?: (open: boolean) => void
}) {
  const opening = useRef<(() => void) | undefined>(undefined)
  return (
    <DropdownMenu.Root modal={false} open={props.open} onOpenChange={props.onOpenChange}>
      <DropdownMenu.Trigger asChild>{props.trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          aria-label={props.label}
          onCloseAutoFocus={(event) => {
            // What an entry opens comes after the menu has gone, or the menu's last focus would close it again.
            const open = opening.current
            if (!open) return
            event.preventDefault()
            opening.current = undefined
            open()
          }}
          align={props.align ?? 'end'}
          sideOffset={6}
          collisionPadding={12}
          style={{ minWidth: props.width ?? 200 }}
          className={cx(
            GROUND,
            'wh-rise z-(--z-popover) max-h-(--radix-dropdown-menu-content-available-height) max-w-80 overflow-y-auto rounded-r3 p-1 outline-none',
          )}
        >
          {props.entries.map((entry, index) => (
            <MenuRow key={index} entry={entry} onOpens={(open) => (opening.current = open)} />
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

const ROW =
  'flex min-h-(--control-h-sm) cursor-default items-center gap-2.5 rounded-r2 px-2 py-1 text-s3 outline-none data-highlighted:bg-hover'

function MenuRow({ entry, onOpens }: { entry: MenuEntry; onOpens: (open: () => void) => void }) {
  if (entry.kind === 'line') return <DropdownMenu.Separator className="mx-2 my-1 h-px bg-line-1" />
  if (entry.kind === 'title')
    return (
      <DropdownMenu.Label className="px-2 pt-2 pb-1 text-s1 font-medium text-ink-3">{entry.label}</DropdownMenu.Label>
    )
  const Icon = entry.icon
  if (entry.kind === 'choice') {
    return (
      <DropdownMenu.CheckboxItem checked={entry.chosen} onSelect={entry.run} className={ROW}>
        {Icon && <Icon size={16} aria-hidden className="text-ink-3" />}
        <span className="flex-1">{entry.label}</span>
        <DropdownMenu.ItemIndicator className="text-accent-text">✓</DropdownMenu.ItemIndicator>
      </DropdownMenu.CheckboxItem>
    )
  }
  const { off, keys } = entry
  return (
    <DropdownMenu.Item
      onSelect={(event) => {
        if (off) event.preventDefault()
        else if (entry.opens) onOpens(entry.run)
        else entry.run()
      }}
      aria-disabled={off ? true : undefined}
      className={cx(ROW, entry.danger && !off && 'text-failed-text')}
    >
      {Icon && <Icon size={16} aria-hidden className={off ? 'text-ink-off' : entry.danger ? '' : 'text-ink-3'} />}
      <span className="min-w-0 flex-1">
        <span className={off ? 'text-ink-3' : undefined}>{entry.label}</span>
        {off && <span className="block text-s1 text-ink-3">{off}</span>}
      </span>
      {keys && keyWords(keys).map((word) => <Kbd key={word}>{word}</Kbd>)}
    </DropdownMenu.Item>
  )
}
