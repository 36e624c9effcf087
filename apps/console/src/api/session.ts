import { useQuery, useQueryClient } from '@tanstack/react-query'
import { ApiError, ask, setToken } from './client.ts'
import { keys } from './keys.ts'
import type { AuthConfig, ServerStatus, Session } from './wire.ts'

interface LoginAnswer {
  token: string
  expires_at: string
  user: Session
}

/** Who is signed in; null when nobody is. */
export function useSession() {
  return useQuery({
    queryKey: keys.session,
    staleTime: 5 * 60_000,
    queryFn: async (): Promise<Session | null> => {
      try {
        const answer = await ask<LoginAnswer>('jobs', 'GET', '/api/v1/auth/session', { quiet: true })
        return answer.user
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

/** Signs in and out. The token stays in this page's memory; the cookie that comes with it is HttpOnly. */
export function useSignIn() {
  const cache = useQueryClient()
  return {
    async signIn(username: string, password: string, tenant: string): Promise<void> {
      const answer = await ask<LoginAnswer>('jobs', 'POST', '/api/v1/auth/login', {
        quiet: true,
        body: { username, password, tenant },
      })
      setToken(answer.token)
      cache.clear()
      cache.setQueryData(keys.session, answer.user)
    },
    async signOut(): Promise<void> {
      await ask<null>('jobs', 'POST', '/api/v1/auth/logout', { quiet: true, body: {} }).finally(() => {
        setToken(undefined)
        cache.clear()
        cache.setQueryData(keys.session, null)
      })
    },
  }
}
