import { Command } from 'cmdk'
import { Search, type LucideIcon } from 'lucide-react'
import { Dialog } from 'radix-ui'
import { useState } from 'react'
import { Keys } from './kbd.tsx'
import { StatusShape, type Status } from './status.tsx'

export interface PaletteEntry {
  id: string
  label: string
  hint?: string
  group: string
  icon?: LucideIcon
  status?: Status
  keys?: string
  mono?: boolean
  /** Further words it is found by. */
  words?: readonly string[]
  run: () => void
}

/** Everything by its name: pages, objects, verbs. `onSearch` may bring in more for what is typed. */
export function CommandPalette(props: {
  open: boolean
  onOpenChange: (open: boolean) => void
  entries: readonly PaletteEntry[]
  onSearch?: (text: string) => void
}) {
  const [text, setText] = useState('')
  const groups = [...new Set(props.entries.map((entry) => entry.group))]
  return (
    <Dialog.Root
      open={props.open}
      onOpenChange={(open) => {
        if (!open) setText('')
        props.onOpenChange(open)
      }}
    >
      <Dialog.Portal>
        <Dialog.Overlay className="wh-appear fixed inset-0 z-(--z-palette) bg-overlay" />
        <Dialog.Content
          aria-describedby={undefined}
          className="wh-rise fixed top-[12vh] left-1/2 z-(--z-palette) w-[min(620px,calc(100vw-24px))] -translate-x-1/2 overflow-hidden rounded-r4 bg-surface-3 shadow-e3 ring ring-line-2 outline-none"
        >
          <Dialog.Title className="sr-only">Search or run a command</Dialog.Title>
          <Command label="Search or run a command" loop>
            <div className="flex items-center gap-2.5 border-b border-line-1 px-4">
              <Search size={16} aria-hidden className="text-ink-3" />
              <Command.Input
                value={text}
                onValueChange={(value) => {
                  setText(value)
                  props.onSearch?.(value)
                }}
                placeholder="Search or run a command"
                className="h-12 min-w-0 flex-1 bg-transparent text-s4 outline-none"
              />
            </div>
            <Command.List
              tabIndex={-1}
              className="max-h-[min(420px,60vh)] overflow-y-auto p-1.5 [scroll-padding-block:30px]"
            >
              <Command.Empty className="px-3 py-6 text-s2 text-ink-2">Nothing goes by that name.</Command.Empty>
              {groups.map((group) => (
                <Command.Group
                  key={group}
                  heading={group}
                  className="[&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-s1 [&_[cmdk-group-heading]]:font-medium [&_[cmdk-group-heading]]:text-ink-3"
                >
                  {props.entries
                    .filter((entry) => entry.group === group)
                    .map((entry) => {
                      const Icon = entry.icon
                      return (
                        <Command.Item
                          key={entry.id}
                          value={entry.id}
                          keywords={[entry.label, ...(entry.words ?? [])]}
                          onSelect={() => {
                            props.onOpenChange(false)
                            setText('')
                            entry.run()
                          }}
                          className="flex h-9 cursor-default items-center gap-2.5 rounded-r2 px-2.5 aria-selected:bg-hover pointer-coarse:h-11"
                        >
                          {entry.status ? (
                            <StatusShape status={entry.status} size={14} />
                          ) : (
                            Icon && <Icon size={16} aria-hidden className="text-ink-3" />
                          )}
                          <span className={entry.mono ? 'mono truncate' : 'truncate'}>{entry.label}</span>
                          {entry.hint && <span className="truncate text-s2 text-ink-3">{entry.hint}</span>}
                          {entry.keys && (
                            <span className="ml-auto">
                              <Keys keys={entry.keys} />
                            </span>
                          )}
                        </Command.Item>
                      )
                    })}
                </Command.Group>
              ))}
            </Command.List>
          </Command>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
