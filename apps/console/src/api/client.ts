import type { Surface } from '@wheelhouse/contract'
import { ApiError } from '@wheelhouse/sdk/api-error'
import { createClient, type RawOptions } from '@wheelhouse/sdk/client'
import { QueryClient } from '@tanstack/react-query'
import { contract } from 'virtual:wheelhouse-contract'

export { ApiError }

// The credential of this page: in memory alone. After a reload the HttpOnly cookie of the session stands in for it.
let token: string | undefined
const signedOut = new Set<() => void>()

export function setToken(next: string | undefined): void {
  token = next
}

/** Whether this page holds a bearer of its own. The platform and release surfaces take no cookie. */
export function hasToken(): boolean {
  return token !== undefined
}

/** Called when the server no longer knows who asks. */
export function onSignedOut(listener: () => void): () => void {
  signedOut.add(listener)
  return () => signedOut.delete(listener)
}

export const client = createClient(contract, { url: '', token: () => token })

interface AskOptions extends RawOptions {
  /** A refusal for want of a session is the caller's to handle. */
  quiet?: boolean
}

/** Calls a documented path on one surface and gives the body as it came. Refusals are thrown as ApiError; one for want of a session also sends the person to the sign-in page. */
export async function ask<T>(surface: Surface, method: string, path: string, options: AskOptions = {}): Promise<T> {
  try {
    const { quiet: _quiet, ...raw } = options
    const answer = await client.request(method, path, {
      ...raw,
      headers: { 'x-wheelhouse-surface': surface, ...raw.headers },
    })
    return answer.body as T
  } catch (error) {
    // A surface that takes no cookie says 401 while the session is alive.
    const knowsCookie = surface !== 'platform' && surface !== 'release'
    if (error instanceof ApiError && error.status === 401 && !options.quiet && (knowsCookie || hasToken())) {
      token = undefined
      for (const listener of signedOut) listener()
    }
    throw error
  }
}

/** A refusal that another try cannot change. */
function isFinal(error: unknown): boolean {
  return error instanceof ApiError && error.status < 500 && error.status !== 429
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      retry: (failures, error) => !isFinal(error) && failures < 2,
      refetchOnWindowFocus: true,
    },
    mutations: { retry: false },
  },
})
