import type { Endpoint, Floor, Surface } from './endpoint.ts'
import { fleet } from './fleet/index.ts'
import { jobs } from './jobs/index.ts'
import { native } from './native/index.ts'
import { platform } from './platform/index.ts'
import { release } from './release/index.ts'

/** Everything Wheelhouse serves, declared once: surface → area → endpoint. */
export const contract = { platform, fleet, release, jobs, native } as const

export interface Declared {
  surface: Surface
  area: string
  name: string
  endpoint: Endpoint
}

/** All endpoints in the order of their declaration. */
export const declared: readonly Declared[] = Object.entries(contract).flatMap(([surface, areas]) =>
  Object.entries(areas as Record<string, Record<string, Endpoint>>).flatMap(([areaName, endpoints]) =>
    Object.entries(endpoints).map(([name, endpoint]) => ({
      surface: surface as Surface,
      area: areaName,
      name,
      endpoint,
    })),
  ),
)

/** The permissions that fleet's declarations place at each floor (decisions D3). */
export const floorPermissions: Readonly<Record<Floor, readonly string[]>> = (() => {
  const sets: Record<Floor, Set<string>> = {
    VIEWER: new Set(),
    DEVELOPER: new Set(),
    OPERATOR: new Set(),
    ADMIN: new Set(),
  }
  for (const { endpoint } of declared) {
    if (endpoint.floor && endpoint.permission.includes(':')) sets[endpoint.floor].add(endpoint.permission)
  }
  return {
    VIEWER: [...sets.VIEWER],
    DEVELOPER: [...sets.DEVELOPER],
    OPERATOR: [...sets.OPERATOR],
    ADMIN: [...sets.ADMIN],
  }
})()
