import type { Ground } from './ground.ts'

const WITHIN_MS = 60_000

/** A request beside what is measured: whatever is no success throws with what was said. */
export async function call<T>(
  ground: Ground,
  method: string,
  path: string,
  body?: unknown,
  token = ground.apiKey,
): Promise<T> {
  const response = await fetch(`${ground.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(WITHIN_MS),
  })
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as T
}
