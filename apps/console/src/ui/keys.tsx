import { useEffect, useRef, useSyncExternalStore } from 'react'

export interface KeyBinding {
  /** `j`, `shift+x`, `mod+k`, `enter`, `space`, or a sequence such as `g h`. */
  keys: string
  /** What it does, for the sheet behind `?`. */
  label: string
  /** Under which title the sheet lists it. */
  group: string
  run: (event: KeyboardEvent) => void
  /** It works, but the sheet does not list it. */
  quiet?: boolean
  /** It works also while typing. Only for combinations with `mod`. */
  typing?: boolean
}

interface Layer {
  bindings: () => readonly KeyBinding[]
}

// The innermost component that mounted last answers first, so that a page can take over a key of the frame.
let layers: readonly Layer[] = []
let pending: { stroke: string; until: number } | undefined
let singleKeys = true
const listeners = new Set<() => void>()

const SEQUENCE_MS = 1200
const NAMED: Record<string, string> = {
  ' ': 'space',
  ArrowDown: 'down',
  ArrowUp: 'up',
  ArrowLeft: 'left',
  ArrowRight: 'right',
}

/** The name of what was pressed: `mod` before `shift` before the key. Shift counts for letters and named keys alone, since `?` already holds it. */
export function strokeOf(event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey'>): string {
  const key = NAMED[event.key] ?? event.key.toLowerCase()
  const shifted = event.shiftKey && (key.length > 1 || /[a-z]/.test(key))
  return `${event.ctrlKey || event.metaKey ? 'mod+' : ''}${event.altKey ? 'alt+' : ''}${shifted ? 'shift+' : ''}${key}`
}

/** Which binding answers a stroke, given the stroke before it; or that a sequence has begun. */
export function match(
  bindings: readonly KeyBinding[],
  stroke: string,
  before: string | undefined,
): KeyBinding | 'begun' | undefined {
  if (before !== undefined) {
    const sequence = bindings.find((binding) => binding.keys === `${before} ${stroke}`)
    if (sequence) return sequence
  }
  const single = bindings.find((binding) => binding.keys === stroke)
  if (single) return single
  return bindings.some((binding) => binding.keys.startsWith(`${stroke} `)) ? 'begun' : undefined
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  if (target.isContentEditable || target.closest('.xterm')) return true
  if (target instanceof HTMLInputElement) return !['checkbox', 'radio', 'button', 'submit'].includes(target.type)
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement
}

function isInOverlay(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('[role=dialog],[role=menu],[role=listbox]') !== null
}

function onKeyDown(event: KeyboardEvent) {
  if (event.defaultPrevented || event.isComposing) return
  const stroke = strokeOf(event)
  const withMod = stroke.startsWith('mod+')
  const typing = isTyping(event.target)
  if ((typing || isInOverlay(event.target)) && !withMod) return
  if (!singleKeys && !withMod && stroke.replace('shift+', '').length === 1) return
  // Enter and space belong to the control that has the focus.
  if ((stroke === 'enter' || stroke === 'space') && event.target instanceof HTMLElement) {
    if (event.target.closest('button, a, input, summary, [role=tab], [role=menuitem]')) return
  }
  const before = pending && pending.until > event.timeStamp ? pending.stroke : undefined
  pending = undefined
  const bindings = layers.toReversed().flatMap((layer) => layer.bindings())
  const found = match(bindings, stroke, before)
  if (found === undefined) return
  if (found === 'begun') {
    pending = { stroke, until: event.timeStamp + SEQUENCE_MS }
    return
  }
  if (typing && !found.typing) return
  event.preventDefault()
  found.run(event)
}

if (typeof window !== 'undefined') window.addEventListener('keydown', onKeyDown)

/** Binds keys while the component stands. Bindings may change on every render. */
export function useKeys(bindings: readonly KeyBinding[], on = true): void {
  const latest = useRef(bindings)
  useEffect(() => {
    latest.current = bindings
  })
  useEffect(() => {
    if (!on) return
    const layer = { bindings: () => latest.current }
    layers = [...layers, layer]
    for (const listener of listeners) listener()
    return () => {
      layers = layers.filter((other) => other !== layer)
      for (const listener of listeners) listener()
    }
  }, [on])
}

/** Every key that works now, for the sheet behind `?`. */
export function useBoundKeys(): readonly KeyBinding[] {
  const snapshot = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => layers,
  )
  return snapshot.flatMap((layer) => layer.bindings()).filter((binding) => !binding.quiet)
}

/** Switches single letters off and on (WCAG 2.1.4); combinations with ⌘ or Ctrl go on working. */
export function setSingleKeys(on: boolean): void {
  singleKeys = on
}
