import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { InboxItem } from '@wheelhouse/contract/native/inbox'
import { client } from './client.ts'
import { keys } from './keys.ts'

/** What waits for a decision in every domain, the newest hundred, and how many there are in all. */
export function useInbox(on = true) {
  return useQuery({
    queryKey: [...keys.inbox, 'list'],
    enabled: on,
    refetchInterval: 15_000,
    queryFn: ({ signal }) => client.native.inbox.listInbox({ query: { pageSize: 100 }, signal }),
  })
}

const ENDED = JSON.stringify({ state: ['approved', 'rejected', 'expired', 'withdrawn'] })

/** What was decided, the newest first. */
export function useDecided(on: boolean) {
  return useQuery({
    queryKey: [...keys.inbox, 'decided'],
    enabled: on,
    queryFn: ({ signal }) =>
      client.native.inbox.listInbox({
        query: { pageSize: 100, sort: '-createdAt', filter: ENDED },
        signal,
      }),
  })
}

/** One request with the votes that were cast. */
export function useInboxItem(id: string | undefined) {
  return useQuery({
    queryKey: [...keys.inbox, 'one', id],
    enabled: id !== undefined,
    queryFn: ({ signal }) => client.native.inbox.getInboxItem({ params: { id: id ?? '' }, signal }),
  })
}

export interface Answer {
  item: Pick<InboxItem, 'id' | 'hash'>
  verdict: 'approve' | 'reject'
  reason: string
  value?: unknown
}

/** Approves or rejects exactly what was shown: its hash goes with the vote, and another one now is refused. */
export function useDecide() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: ({ item, verdict, reason, value }: Answer) => {
      const params = { id: item.id }
      const vote = { hash: item.hash, ...(reason === '' ? {} : { reason }) }
      return verdict === 'reject'
        ? client.native.inbox.reject({ params, body: vote })
        : client.native.inbox.approve({ params, body: { ...vote, ...(value === undefined ? {} : { value }) } })
    },
    onSettled: () =>
      Promise.all([keys.inbox, keys.jobs, keys.runs].map((queryKey) => cache.invalidateQueries({ queryKey }))),
  })
}
