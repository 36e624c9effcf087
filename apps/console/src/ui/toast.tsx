import { X } from 'lucide-react'
import { useSyncExternalStore } from 'react'
import { Toast as Radix } from 'radix-ui'
import { IconButton } from './button.tsx'
import { StatusShape, type Status } from './status.tsx'
import { LinkButton } from './states.tsx'

export interface ToastMessage {
  status: Status
  title: string
  text?: string
  /** Kept for ten seconds, so that Undo can be reached. */
  act?: { label: string; run: () => void }
}

interface Shown extends ToastMessage {
  id: number
}

let shown: readonly Shown[] = []
let nextId = 1
const listeners = new Set<() => void>()

function set(next: readonly Shown[]) {
  shown = next
  for (const listener of listeners) listener()
}

/** Says what happened outside the view. At most three stand; it is never the only copy of a message. */
export function toast(message: ToastMessage): void {
  set([...shown.slice(-2), { ...message, id: nextId++ }])
}

/** Where toasts appear: bottom right, above everything. Stands once. */
export function ToastRegion() {
  const messages = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => shown,
  )
  return (
    <Radix.Provider duration={6000} label="Notification">
      {messages.map((message) => (
        <Radix.Root
          key={message.id}
          duration={message.act ? 10_000 : 6000}
          onOpenChange={(open) => {
            if (!open) set(shown.filter((other) => other.id !== message.id))
          }}
          className="wh-rise flex items-start gap-2.5 rounded-r3 bg-surface-3 py-2.5 pr-1.5 pl-3 shadow-e3 ring ring-line-2"
        >
          <StatusShape status={message.status} size={16} className="mt-0.5" />
          <div className="min-w-0 flex-1">
            <Radix.Title className="font-medium">{message.title}</Radix.Title>
            {message.text && <Radix.Description className="text-s2 text-ink-2">{message.text}</Radix.Description>}
          </div>
          {message.act && (
            <Radix.Action asChild altText={message.act.label}>
              <span className="py-0.5">
                <LinkButton onClick={message.act.run}>{message.act.label}</LinkButton>
              </span>
            </Radix.Action>
          )}
          <Radix.Close asChild>
            <IconButton icon={X} label="Dismiss" size="sm" />
          </Radix.Close>
        </Radix.Root>
      ))}
      <Radix.Viewport className="fixed right-4 bottom-4 z-(--z-toast) flex w-[min(380px,calc(100vw-32px))] flex-col gap-2 outline-none narrow:bottom-[74px]" />
    </Radix.Provider>
  )
}
