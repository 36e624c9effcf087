import type { Endpoint, Surface } from '@wheelhouse/contract'
import fc from 'fast-check'
import type { Bound } from '../kernel/http/index.ts'
import { fitting, type Schema } from './generate.ts'
import type { World } from './world.ts'

export const methodOf = ({ method }: Endpoint): string => (method === 'ANY' ? 'POST' : method)

/** On the surface's own prefix, where several surfaces may know the same path. */
export const prefixed = (surface: Surface, path: string): string =>
  surface !== 'native' && /^\/(api|ws|health|metrics)/.test(path) ? `/${surface}${path}` : path

export const nameOf = ({ surface, endpoint }: Bound): string => `${surface} ${endpoint.method} ${endpoint.path}`

export const sample = (schema: Schema, seed: number, sparse = false): unknown =>
  fc.sample(fitting(schema, sparse), { seed, numRuns: 1 })[0]

const NAMES: Schema = { type: 'string', pattern: '^x[a-z]{8}$' }

/** An object that a tenant has made, by the path below which it lies. */
export interface Thing {
  path: string
  id: string
}

/** The path with ids: of these things where one lies there, else generated ones that nothing bears. */
export function pathOf(
  { surface, endpoint }: Bound,
  seed: number,
  things: readonly Thing[] = [],
): { path: string; ids: string[] } {
  const properties = (endpoint.params as Schema | undefined)?.properties ?? {}
  const ids: string[] = []
  let before = ''
  const parts = endpoint.path.split(/\{(\w+)\}/)
  for (const [i, part] of parts.entries()) {
    if (i % 2 === 0) {
      before += part
      continue
    }
    const known = things.find(({ path }) => `${path}/` === before)
    if (known) ids.push(known.id)
    before += encodeURIComponent(known?.id ?? String(sample(properties[part] ?? NAMES, seed)))
  }
  return { path: prefixed(surface, before), ids }
}

export interface Ask {
  method: string
  path: string
  as?: string | null
  headers?: Record<string, string>
  query?: string
  body?: string
  patienceMs?: number
}

/** What came back; undefined when the server took its time on purpose (streams, long polls). */
export async function ask(
  world: World,
  { method, path, as, headers = {}, query, body, patienceMs = 3_000 }: Ask,
): Promise<{ status: number; body: string; headers: Headers } | undefined> {
  const signal = AbortSignal.timeout(patienceMs)
  try {
    const response = await fetch(`${world.url}${path}${query === undefined ? '' : `?${query}`}`, {
      method,
      signal,
      redirect: 'manual',
      headers: {
        ...(as === undefined || as === null ? {} : { authorization: `Bearer ${as}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    })
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
      await response.body?.cancel()
      return { status: response.status, body: '', headers: response.headers }
    }
    return { status: response.status, body: await response.text(), headers: response.headers }
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
  }
}

/** The value of a JSON text; the text itself where it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
