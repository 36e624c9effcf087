import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { client } from './client.ts'
import { keys } from './keys.ts'

export type PrincipalRow = Awaited<ReturnType<typeof client.native.principals.list>>['items'][number]

/** Everyone and everything that may act. */
export function usePrincipals(kind: string) {
  return useQuery({
    queryKey: [...keys.principals, kind],
    queryFn: ({ signal }) =>
      client.native.principals.list({
        query: { pageSize: 200, ...(kind === '' ? {} : { filter: JSON.stringify({ kind }) }) },
        signal,
      }),
  })
}

export function usePrincipal(id: string | undefined) {
  return useQuery({
    queryKey: [...keys.principals, 'one', id],
    enabled: id !== undefined,
    refetchInterval: 5000,
    queryFn: ({ signal }) => client.native.principals.get({ params: { id: id ?? '' }, signal }),
  })
}

export function useFreeze() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: ({ id, frozen }: { id: string; frozen: boolean }) =>
      frozen ? client.native.principals.freeze({ params: { id } }) : client.native.principals.thaw({ params: { id } }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.principals }),
  })
}
