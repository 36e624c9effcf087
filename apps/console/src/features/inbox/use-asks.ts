import type { InboxItem } from '@wheelhouse/contract/native/inbox'
import { useRef, useState } from 'react'
import { ApiError } from '../../api/client.ts'
import { failureOf } from '../../api/failure.ts'
import { useDecide } from '../../api/inbox.ts'
import { useRefusal } from '../../app/allowed.ts'
import { plural } from '../../ui/age.ts'
import { useKeys } from '../../ui/keys.tsx'
import type { Status } from '../../ui/status.tsx'
import { toast } from '../../ui/toast.tsx'
import { askWords, bulkRefusal, shownOf } from './ask-words.ts'
import { readValue } from './ask-value.ts'

interface Draft {
  reason?: string
  /** What was typed for a step that asks for a value. */
  value?: string
  /** Why the last answer was not taken. */
  said?: { status: Status; text: string } | undefined
  /** A rejection wants its reason first. */
  missing?: boolean
}

export type Asks = ReturnType<typeof useAsks>

/** The open request of a list, what is being answered, and the keys `j k a r`. A rejection asks for its reason first. */
export function useAsks(
  items: readonly InboxItem[],
  wanted: string | undefined,
  onOpen: (id: string | undefined) => void,
) {
  const decide = useDecide()
  const refusal = useRefusal()
  const [drafts, setDrafts] = useState<Readonly<Record<string, Draft>>>({})
  const reasonRef = useRef<HTMLTextAreaElement>(null)
  const found = items.findIndex(
    (item) => wanted !== undefined && [item.id, item.jobId, item.runId, item.stepId].includes(wanted),
  )
  const at = Math.max(0, found)
  const open = items[at]
  const may = refusal('native', 'POST', '/wheelhouse/api/v1/inbox/{id}/approve')
  const off = may ?? (open ? undefined : 'Nothing waits.')
  const draft: Draft = (open && drafts[open.id]) ?? {}
  const change = (id: string, changes: Draft) => setDrafts((all) => ({ ...all, [id]: { ...all[id], ...changes } }))

  const answer = async (verdict: 'approve' | 'reject') => {
    if (!open || off || decide.isPending) return
    const reason = draft.reason?.trim() ?? ''
    if (verdict === 'reject' && reason === '') {
      change(open.id, { missing: true })
      reasonRef.current?.focus()
      return
    }
    const shown = shownOf(open)
    const given = verdict === 'approve' && shown.form ? readValue(draft.value, shown.schema) : {}
    if (given.problem !== undefined) {
      change(open.id, { said: { status: 'failed', text: `${given.problem} Nothing was decided.` } })
      return
    }
    change(open.id, { missing: false, said: undefined })
    try {
      const { state, votes, required } = await decide.mutateAsync({ item: open, verdict, reason, value: given.value })
      const more = state === 'open' ? `${votes} of ${required} approvals; it waits for the rest` : ''
      toast({
        status: verdict === 'approve' ? 'ok' : 'denied',
        title: `${verdict === 'approve' ? 'Approved' : 'Rejected'} ${askWords(open)}`,
        ...(more === '' ? {} : { text: more }),
      })
      if (state !== 'open') onOpen(undefined)
    } catch (error) {
      change(open.id, { said: refused(error, verdict) })
    }
  }

  /** All of them with one reason; approved together only when they are the same to the letter. */
  const answerAll = async (many: readonly InboxItem[], verdict: 'approve' | 'reject', reason: string) => {
    if (may || (verdict === 'approve' && bulkRefusal(many))) return
    const settled = await Promise.allSettled(many.map((item) => decide.mutateAsync({ item, verdict, reason })))
    const failed = settled.filter((each) => each.status === 'rejected')
    toast({
      status: failed.length > 0 ? 'warning' : verdict === 'approve' ? 'ok' : 'denied',
      title: `${verdict === 'approve' ? 'Approved' : 'Rejected'} ${plural(many.length - failed.length, 'request')}`,
      ...(failed[0] ? { text: `${failed.length} not: ${failureOf(failed[0].reason).message}` } : {}),
    })
  }

  const move = (by: number) => {
    const next = items[Math.max(0, Math.min(items.length - 1, at + by))]
    if (next) onOpen(next.id)
  }
  useKeys(
    [
      ...(items.length > 1
        ? [
            { keys: 'j', label: 'Next request', group: 'Inbox', run: () => move(1) },
            { keys: 'k', label: 'Previous request', group: 'Inbox', run: () => move(-1) },
          ]
        : []),
      { keys: 'a', label: 'Approve', group: 'Inbox', run: () => void answer('approve') },
      { keys: 'r', label: 'Reject, reason first', group: 'Inbox', run: () => void answer('reject') },
    ],
    items.length > 0,
  )
  return {
    open,
    reason: draft.reason ?? '',
    setReason: (reason: string) => open && change(open.id, { reason }),
    value: draft.value,
    setValue: (value: string) => open && change(open.id, { value, said: undefined }),
    reasonRef,
    missing: draft.missing === true && (draft.reason ?? '').trim() === '',
    said: draft.said,
    busy: decide.isPending,
    off,
    answer,
    answerAll,
  }
}

/** Why an answer was not taken, as it is said beside the buttons. The list is read anew either way. */
function refused(error: unknown, verdict: 'approve' | 'reject'): { status: Status; text: string } {
  const { kind, message } = failureOf(error)
  const details: unknown = error instanceof ApiError ? error.details : undefined
  if (typeof details === 'object' && details !== null && 'hash' in details)
    return {
      status: 'warning',
      text: 'It changed since it was shown, and nothing was decided. This is how it reads now: look at it again.',
    }
  return {
    status: kind === 'forbidden' || kind === 'denied' ? 'denied' : 'failed',
    text: `Not ${verdict === 'approve' ? 'approved' : 'rejected'}: ${message}`,
  }
}
