import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { ask, bearerClient, client } from './client.ts'
import { keys } from './keys.ts'
import type { User } from './wire.ts'

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

/** Roles: what they grant, and the subjects their keys reach. */
export function useRoles() {
  return useQuery({ queryKey: keys.roles, queryFn: () => bearerClient.platform.roles.listRoles({}) })
}

export type ApiKey = Awaited<ReturnType<typeof bearerClient.platform.keys.listKeys>>[number]

/** The caller's own keys. */
export function useApiKeys() {
  return useQuery({ queryKey: keys.apiKeys, queryFn: () => bearerClient.platform.keys.listKeys({}) })
}

export interface NewKey {
  name: string
  notes: string
  expires: string | null
  /** Whether it may also administer, where its owner may. */
  admin: boolean
}

export function useKeyChanges() {
  const cache = useQueryClient()
  const onSettled = () => cache.invalidateQueries({ queryKey: keys.apiKeys })
  return {
    /** The clear key is in this answer and nowhere else. */
    create: useMutation({
      mutationFn: (key: NewKey) => bearerClient.platform.keys.createKey({ body: key }),
      onSettled,
    }),
    revoke: useMutation({
      mutationFn: (id: string) => bearerClient.platform.keys.deleteKey({ params: { id } }),
      onSettled,
    }),
  }
}

/** Makes a one-time token with which one host joins within the hour, and the line to run there. */
export function useJoinToken() {
  return useMutation({
    mutationFn: (input: { name?: string; labels?: Record<string, string> }) =>
      client.native.join.createToken({ body: input }),
  })
}
