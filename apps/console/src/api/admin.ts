import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { ask } from './client.ts'
import { keys } from './keys.ts'
import type { ApiKey, Role, User } from './wire.ts'

export function useUsers() {
  return useQuery({
    queryKey: keys.users,
    queryFn: async () => (await ask<{ items: User[] }>('jobs', 'GET', '/api/v1/users')).items,
  })
}

export interface NewUser {
  username: string
  password: string
  email?: string
  role: string
}

export function useUserChanges() {
  const cache = useQueryClient()
  const onSettled = () => cache.invalidateQueries({ queryKey: keys.users })
  return {
    create: useMutation({
      mutationFn: (user: NewUser) => ask<User>('jobs', 'POST', '/api/v1/users', { body: user }),
      onSettled,
    }),
    update: useMutation({
      mutationFn: ({ id, ...changes }: { id: string; roles?: string[]; email?: string; display_name?: string }) =>
        ask<User>('jobs', 'PUT', `/api/v1/users/${encodeURIComponent(id)}`, { body: changes }),
      onSettled,
    }),
    remove: useMutation({
      mutationFn: (id: string) => ask<null>('jobs', 'DELETE', `/api/v1/users/${encodeURIComponent(id)}`),
      onSettled,
    }),
  }
}

/** Roles with their subjects; the platform surface, which takes a bearer alone. */
export function useRoles() {
  return useQuery({ queryKey: keys.roles, queryFn: () => ask<Role[]>('platform', 'GET', '/api/v1/admin/roles') })
}

export function useApiKeys() {
  return useQuery({
    queryKey: keys.apiKeys,
    queryFn: async () => (await ask<{ data: ApiKey[] }>('fleet', 'GET', '/api/v1/me/api-keys')).data,
  })
}

export function useKeyChanges() {
  const cache = useQueryClient()
  const onSettled = () => cache.invalidateQueries({ queryKey: keys.apiKeys })
  return {
    /** The clear key is in this answer and nowhere else. */
    create: useMutation({
      mutationFn: (input: { name: string; expires_in_days?: number }) =>
        ask<ApiKey & { key: string }>('fleet', 'POST', '/api/v1/me/api-keys', { body: input }),
      onSettled,
    }),
    revoke: useMutation({
      mutationFn: (id: string) =>
        ask<{ message: string }>('fleet', 'DELETE', `/api/v1/me/api-keys/${encodeURIComponent(id)}`),
      onSettled,
    }),
  }
}

/** Makes a one-time token with which one host joins within the hour. */
export function useJoinToken() {
  return useMutation({
    mutationFn: (input: { name?: string; labels?: Record<string, string> }) =>
      ask<{ token: string; expiresAt: string }>('native', 'POST', '/wheelhouse/api/v1/join-tokens', { body: input }),
  })
}
