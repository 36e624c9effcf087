import { useNavigate, useRouterState } from '@tanstack/react-router'
import { useCallback } from 'react'

export type UrlState = Readonly<Record<string, string | undefined>>

/** Reads `?a=b&c=d` as plain text: what stands in the address is what a page gets. */
export function parsePlainSearch(search: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(search))
}

/** Writes the members that have a value, unchanged order, nothing for none. */
export function stringifyPlainSearch(search: Record<string, unknown>): string {
  const members = Object.entries(search).filter(([, value]) => typeof value === 'string' && value !== '')
  if (members.length === 0) return ''
  const text = new URLSearchParams(members as [string, string][]).toString()
  // These read better unescaped, and need no escape in a query.
  return `?${text.replaceAll('%3A', ':').replaceAll('%2C', ',').replaceAll('%2F', '/')}`
}

/** The state of a view in its address. A change replaces the entry, unless `push` makes it a step to come back from. */
export function useUrlState(): [UrlState, (changes: UrlState, push?: boolean) => void] {
  const search = useRouterState({ select: (state) => state.location.search as UrlState })
  const navigate = useNavigate()
  const set = useCallback(
    (changes: UrlState, push = false) => {
      void navigate({
        to: '.',
        search: (now: Record<string, unknown>) => {
          const next: Record<string, unknown> = { ...now, ...changes }
          for (const [name, value] of Object.entries(next)) if (value === undefined || value === '') delete next[name]
          return next
        },
        replace: !push,
      })
    },
    [navigate],
  )
  return [search, set]
}
