import type { Surface } from '@wheelhouse/contract'
import { ApiError } from '@wheelhouse/sdk/api-error'
import { createClient, type RawOptions } from '@wheelhouse/sdk/client'
import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query'
import { contract } from 'virtual:wheelhouse-contract'

export { ApiError }

const signedOut = new Set<() => void>()

/** Called when the server no longer knows who asks. */
export function onSignedOut(listener: () => void): () => void {
  signedOut.add(listener)
  return () => signedOut.delete(listener)
}

/** The console's client. The session is an HttpOnly cookie: no script ever holds it. */
export const client = createClient(contract, { url: '' })

const SPARE_MS = 60_000
let bearer: { token: string; until: number } | undefined

// The platform and release surfaces take no cookie. For them the session is traded for a token of a quarter of an hour, kept in memory alone.
async function bearerToken(): Promise<string> {
  if (bearer && bearer.until - SPARE_MS > Date.now()) return bearer.token
  const issued = await client.native.session.issueToken({})
  bearer = { token: issued.token, until: Date.parse(issued.expiresAt) }
  return bearer.token
}

/** The same for the surfaces that take a bearer alone. */
export const bearerClient = createClient(contract, { url: '', token: bearerToken })

/** Forgets what was issued to the session that ended. */
export function forgetBearer(): void {
  bearer = undefined
}

interface AskOptions extends RawOptions {
  /** A refusal for want of a session is the caller's to handle. */
  quiet?: boolean
}

/** Calls a documented path on one surface and gives the body as it came. Refusals are thrown as ApiError. */
export async function ask<T>(surface: Surface, method: string, path: string, options: AskOptions = {}): Promise<T> {
  const { quiet, ...raw } = options
  const through = surface === 'platform' || surface === 'release' ? bearerClient : client
  try {
    const answer = await through.request(method, path, {
      ...raw,
      headers: { 'x-wheelhouse-surface': surface, ...raw.headers },
    })
    return answer.body as T
  } catch (error) {
    if (!quiet) noticeSignedOut(error)
    throw error
  }
}

/** A refusal for want of a session sends the person to the sign-in page. */
function noticeSignedOut(error: unknown): void {
  if (!(error instanceof ApiError) || error.status !== 401) return
  forgetBearer()
  for (const listener of signedOut) listener()
}

/** A refusal that another try cannot change. */
function isFinal(error: unknown): boolean {
  return error instanceof ApiError && error.status < 500 && error.status !== 429
}

export const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError: noticeSignedOut }),
  mutationCache: new MutationCache({ onError: noticeSignedOut }),
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      retry: (failures, error) => !isFinal(error) && failures < 2,
      refetchOnWindowFocus: true,
    },
    mutations: { retry: false },
  },
})
