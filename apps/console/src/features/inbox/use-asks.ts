import { useRef, useState } from 'react'
import { useDecide } from '../../api/jobs.ts'
import { failureOf } from '../../api/failure.ts'
import type { ApprovalItem } from '../../api/wire.ts'
import { useRefusal } from '../../app/allowed.ts'
import { useKeys } from '../../ui/keys.tsx'
import { toast } from '../../ui/toast.tsx'
import { askWords } from './ask-words.ts'

/** The open request of a list, its reason, and the keys `j k a r`. A rejection asks for its reason first. */
export function useAsks(
  items: readonly ApprovalItem[],
  wanted: string | undefined,
  onOpen: (jobId: string | undefined) => void,
) {
  const decide = useDecide()
  const refusal = useRefusal()
  const [reasons, setReasons] = useState<Readonly<Record<string, string>>>({})
  const [missing, setMissing] = useState<string>()
  const reasonRef = useRef<HTMLTextAreaElement>(null)
  const found = items.findIndex((item) => item.job_id === wanted)
  const at = found >= 0 ? found : 0
  const open = items[at]
  const off = refusal('jobs', 'POST', '/api/v1/approvals/{job_id}/approve') ?? (open ? undefined : 'Nothing waits.')
  const reason = open ? (reasons[open.job_id] ?? '') : ''

  const answer = async (verdict: 'approve' | 'reject') => {
    if (!open || off || decide.isPending) return
    if (verdict === 'reject' && reason.trim() === '') {
      setMissing(open.job_id)
      reasonRef.current?.focus()
      return
    }
    setMissing(undefined)
    try {
      await decide.mutateAsync({ jobId: open.job_id, verdict, reason: reason.trim() })
      toast({
        status: verdict === 'approve' ? 'ok' : 'denied',
        title: `${verdict === 'approve' ? 'Approved' : 'Rejected'} ${askWords(open)}`,
      })
      onOpen(undefined)
    } catch (error) {
      toast({ status: 'failed', title: `Could not ${verdict}`, text: failureOf(error).message })
    }
  }
  const move = (by: number) => {
    const next = items[Math.max(0, Math.min(items.length - 1, at + by))]
    if (next) onOpen(next.job_id)
  }
  useKeys(
    [
      { keys: 'j', label: 'Next request', group: 'Inbox', run: () => move(1) },
      { keys: 'k', label: 'Previous request', group: 'Inbox', run: () => move(-1) },
      { keys: 'a', label: 'Approve', group: 'Inbox', run: () => void answer('approve') },
      { keys: 'r', label: 'Reject, reason first', group: 'Inbox', run: () => void answer('reject') },
    ],
    items.length > 0,
  )
  return {
    open,
    reason,
    setReason: (text: string) => open && setReasons((all) => ({ ...all, [open.job_id]: text })),
    reasonRef,
    missing: open !== undefined && missing === open.job_id && reason.trim() === '',
    busy: decide.isPending,
    off,
    answer,
  }
}
