import type { Endpoint, Surface } from '@wheelhouse/contract'
import { grants, storedRole } from '@wheelhouse/contract/roles'
import { contract, rolePatterns } from 'virtual:wheelhouse-contract'
import { useCallback } from 'react'
import { useSession } from '../api/session.ts'

// What a parameter is called does not matter.
const nameOf = (surface: string, method: string, path: string) =>
  `${surface} ${method} ${path.replace(/\{[^}]+\}/g, '{}')}`

const permissions = new Map<string, string>()
for (const [surface, areas] of Object.entries(contract)) {
  for (const area of Object.values(areas as Record<string, Record<string, Endpoint>>)) {
    for (const endpoint of Object.values(area))
      permissions.set(nameOf(surface, endpoint.method, endpoint.path), endpoint.permission)
  }
}

/** Whether roles grant a permission. A role that is not built in is not known here: the server judges, so it is not refused in advance. */
export function rolesGrant(roles: readonly string[], permission: string): boolean {
  return roles.some((name) => {
    const patterns = rolePatterns[storedRole(name)]
    return patterns === undefined || patterns.some((pattern) => grants(pattern, permission))
  })
}

/** Tells for an endpoint why this person may not call it, or `undefined` when nothing speaks against it. The reason is what a button that is off says. */
export function useRefusal(): (surface: Surface, method: string, path: string) => string | undefined {
  const { data: session } = useSession()
  const roles = session?.roles
  return useCallback(
    (surface, method, path) => {
      const permission = permissions.get(nameOf(surface, method, path))
      if (!permission?.includes(':') || !roles || rolesGrant(roles, permission)) return undefined
      return `Needs ${permission}. An administrator can grant it.`
    },
    [roles],
  )
}
