import { useEffect, useSyncExternalStore } from 'react'

export interface Crumb {
  label: string
  to?: string
  mono?: boolean
}

let crumbs: readonly Crumb[] = []
const listeners = new Set<() => void>()

/** Names the page: its path in the top bar and the title of the window. */
export function usePageName(...path: Crumb[]): void {
  const text = JSON.stringify(path)
  useEffect(() => {
    crumbs = JSON.parse(text) as Crumb[]
    document.title = `${crumbs
      .map((crumb) => crumb.label)
      .toReversed()
      .join(' · ')} · Wheelhouse`
    for (const listener of listeners) listener()
  }, [text])
}

export function useCrumbs(): readonly Crumb[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => crumbs,
  )
}
