import { useSyncExternalStore } from 'react'
import { setSingleKeys } from '../ui/keys.tsx'

export type Theme = 'system' | 'light' | 'dark'
export type Density = 'comfortable' | 'compact'

export interface Preferences {
  theme: Theme
  density: Density
  singleKeys: boolean
  navFolded: boolean
}

// One entry a preference under `wheelhouse.`, kept per device. public/theme.js reads the first two before the first paint.
const KEY = 'wheelhouse.'
const listeners = new Set<() => void>()
let current: Preferences = {
  theme: oneOf(read('theme'), ['system', 'light', 'dark'], 'system'),
  density: oneOf(read('density'), ['comfortable', 'compact'], 'comfortable'),
  singleKeys: read('singleKeys') !== 'false',
  navFolded: read('navFolded') === 'true',
}
apply(current)

function read(name: string): string | null {
  try {
    return localStorage.getItem(KEY + name)
  } catch {
    return null
  }
}

function oneOf<V extends string>(value: string | null, allowed: readonly V[], otherwise: V): V {
  return allowed.find((option) => option === value) ?? otherwise
}

function apply(preferences: Preferences) {
  const { dataset } = document.documentElement
  if (preferences.theme === 'system') delete dataset.theme
  else dataset.theme = preferences.theme
  dataset.density = preferences.density
  setSingleKeys(preferences.singleKeys)
}

/** Sets preferences for this device; they hold at once, also where storage is blocked. */
export function setPreferences(changes: Partial<Preferences>): void {
  current = { ...current, ...changes }
  for (const [name, value] of Object.entries(changes)) {
    try {
      localStorage.setItem(KEY + name, String(value))
    } catch {
      // Storage is blocked: the choice holds until the page is closed.
    }
  }
  apply(current)
  for (const listener of listeners) listener()
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => current,
  )
}

/** Whether dark is what is seen now. */
export function isDark(theme: Theme): boolean {
  return theme === 'dark' || (theme === 'system' && window.matchMedia('(prefers-color-scheme: dark)').matches)
}
