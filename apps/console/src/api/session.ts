import { useQuery, useQueryClient } from '@tanstack/react-query'
import { ApiError, ask, client, forgetBearer } from './client.ts'
import { keys } from './keys.ts'
import type { AuthConfig, ServerStatus } from './wire.ts'

export type Session = Awaited<ReturnType<typeof client.native.session.getSession>>

/** Who is signed in and what they may do; null when nobody is. */
export function useSession() {
  return useQuery({
    queryKey: keys.session,
    staleTime: 5 * 60_000,
    queryFn: async (): Promise<Session | null> => {
      try {
        return await client.native.session.getSession({})
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return null
        throw error
      }
    },
  })
}

/** What the sign-in page offers. */
export function useAuthConfig() {
  return useQuery({
    queryKey: keys.authConfig,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: () => ask<AuthConfig>('jobs', 'GET', '/api/v1/auth/config', { quiet: true }),
  })
}

/** The server itself: version and how it is. */
export function useStatus() {
  return useQuery({
    queryKey: keys.status,
    refetchInterval: 60_000,
    queryFn: () => ask<ServerStatus>('jobs', 'GET', '/api/v1/status'),
  })
}

/** Signs in and out. What the session is known by is an HttpOnly cookie; the token in the answer is not kept. */
export function useSignIn() {
  const cache = useQueryClient()
  // Nothing that one person saw is shown to the next.
  const kept: readonly unknown[] = [keys.session[0], keys.authConfig[0]]
  const forgetOthers = () => cache.removeQueries({ predicate: (query) => !kept.includes(query.queryKey[0]) })
  return {
    async signIn(username: string, password: string, tenant: string): Promise<void> {
      await ask('jobs', 'POST', '/api/v1/auth/login', { quiet: true, body: { username, password, tenant } })
      forgetBearer()
      forgetOthers()
      await cache.fetchQuery({
        queryKey: keys.session,
        staleTime: 0,
        queryFn: () => client.native.session.getSession({}),
      })
    },
    async signOut(): Promise<void> {
      await client.native.session.endSession({}).finally(() => {
        forgetBearer()
        cache.setQueryData(keys.session, null)
        forgetOthers()
      })
    },
  }
}

type Device = Awaited<ReturnType<typeof client.native.tokens.lookAtDevice>>

/** What waits behind a user code. */
export function lookAtDevice(userCode: string): Promise<Device> {
  return client.native.tokens.lookAtDevice({ body: { user_code: userCode } })
}

/** Confirms or refuses the login of a device. */
export function answerDevice(userCode: string, approve: boolean): Promise<{ approved: boolean; client: string }> {
  return client.native.tokens.approveDevice({ body: { user_code: userCode, approve } })
}
