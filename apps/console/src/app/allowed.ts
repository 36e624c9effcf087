import type { Endpoint, Surface } from '@wheelhouse/contract'
import { grants } from '@wheelhouse/contract/roles'
import { contract } from 'virtual:wheelhouse-contract'
import { useCallback } from 'react'
import { useSession } from '../api/session.ts'

// What a parameter is called does not matter.
const nameOf = (surface: string, method: string, path: string) =>
  `${surface} ${method} ${path.replace(/\{[^}]+\}/g, '{}')}`

const permissions = new Map<string, string>()
for (const [surface, areas] of Object.entries(contract)) {
  for (const area of Object.values(areas as Record<string, Record<string, Endpoint>>)) {
    for (const { method, path, permission } of Object.values(area))
      permissions.set(nameOf(surface, method, path), permission)
  }
}

/** Whether a permission is held: every set of patterns (the owner's, the key's) must grant it. */
export function holds(sets: readonly (readonly string[])[], permission: string): boolean {
  return sets.every((patterns) => patterns.some((pattern) => grants(pattern, permission)))
}

/** Tells for an endpoint why this person may not call it, or `undefined` when nothing speaks against it. The reason is what a button that is off says. */
export function useRefusal(): (surface: Surface, method: string, path: string) => string | undefined {
  const { data: session } = useSession()
  const sets = session?.grants
  return useCallback(
    (surface, method, path) => {
      const permission = permissions.get(nameOf(surface, method, path))
      if (!permission?.includes(':') || !sets || holds(sets, permission)) return undefined
      return `Needs ${permission}. An administrator can grant it.`
    },
    [sets],
  )
}
