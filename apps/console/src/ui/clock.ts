import { useSyncExternalStore } from 'react'

// One timer for every age on the page. It ticks only while something listens and the page is visible.
const listeners = new Set<() => void>()
let now = Date.now()
let timer: ReturnType<typeof setInterval> | undefined

function tick() {
  if (document.visibilityState === 'hidden') return
  now = Date.now()
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void) {
  listeners.add(listener)
  if (timer === undefined) {
    now = Date.now()
    timer = setInterval(tick, 1000)
    document.addEventListener('visibilitychange', tick)
  }
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
    document.removeEventListener('visibilitychange', tick)
  }
}

/** The present, in milliseconds, advancing by itself in steps of `everyMs` (at least a second). */
export function useNow(everyMs = 1000): number {
  return useSyncExternalStore(subscribe, () => now - (now % everyMs))
}
