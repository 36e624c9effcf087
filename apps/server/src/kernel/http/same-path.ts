import type { IncomingHttpHeaders } from 'node:http'
import type { Surface } from '@wheelhouse/contract'
import { isJwt } from '../identity/index.ts'
import type { Bound } from './context.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Paths that two documents share, where the id tells whose it is. What is left is told by header, tenant and credential (decisions D8). */
const BY_ID: Readonly<Record<string, (id: string) => Surface>> = {
  '/api/v1/integrations/{id}': (id) => (UUID.test(id) ? 'release' : 'fleet'),
}

/** Which surface answers a path that several own. `candidates` is never empty. */
export function chooseSurface(candidates: readonly Bound[], headers: IncomingHttpHeaders, lastSegment: string): Bound {
  const [first] = candidates
  if (first === undefined) throw new Error('A route without candidates')
  if (candidates.length === 1) return first
  const of = (surface: Surface): Bound | undefined => candidates.find((each) => each.surface === surface)
  const named = headers['x-wheelhouse-surface']
  const byId = BY_ID[first.endpoint.path]
  return (
    (typeof named === 'string' ? candidates.find((each) => each.surface === named) : undefined) ??
    (byId ? of(byId(lastSegment)) : undefined) ??
    (headers['x-tenant-id'] === undefined ? undefined : of('jobs')) ??
    byCredential(headers)
      .map(of)
      .find((bound) => bound !== undefined) ??
    first
  )
}

/** A JWT is release's; a fleet cookie or key header is fleet's; any other opaque key prefers jobs, then fleet. */
function byCredential(headers: IncomingHttpHeaders): Surface[] {
  const bearer = headers.authorization?.split(/\s+/)[1]
  if (bearer !== undefined && isJwt(bearer)) return ['release']
  if (headers.cookie?.includes('wheelhouse_session=') || headers['x-api-key'] !== undefined) return ['fleet']
  return ['jobs', 'fleet']
}
