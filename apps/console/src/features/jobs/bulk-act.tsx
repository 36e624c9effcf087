import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { failureOf } from '../../api/failure.ts'
import { keys } from '../../api/keys.ts'
import { bulk, useBulkOperation, type BulkAct } from '../../api/operations.ts'
import { count, plural } from '../../ui/age.ts'
import { Note } from '../../ui/banner.tsx'
import { BlastChip, reachOf } from '../../ui/blast.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/overlay.tsx'
import { ProgressBar } from '../../ui/sparkline.tsx'

const VERBS = {
  'jobs cancel': { title: 'Cancel all that match', verb: 'Cancel', undo: 'submit them again' },
  'jobs retry': { title: 'Retry all that match', verb: 'Retry', undo: 'cancel the new ones' },
  'jobs replay': { title: 'Run all that match once more', verb: 'Replay', undo: 'cancel the new ones' },
  'dlq retry': { title: 'Retry all that match', verb: 'Retry', undo: 'cancel the new ones' },
  'dlq delete': { title: 'Remove all that match', verb: 'Remove', undo: 'none: the jobs stay' },
}

/** One act on many: first it is counted, then confirmed with that count, then followed to its end. */
export function BulkDialog(props: { act: BulkAct; onClose: () => void }) {
  const { act, onClose } = props
  const words = VERBS[`${act.on} ${act.verb}` as keyof typeof VERBS]
  const cache = useQueryClient()
  const [operation, setOperation] = useState<string>()
  const progress = useBulkOperation(operation)
  const counted = useMutation({ mutationFn: () => bulk(act) })
  const started = useMutation({
    mutationFn: (matched: number) => bulk(act, matched),
    onSuccess: (reply) => setOperation(reply.operation?.id),
    onSettled: () =>
      Promise.all([
        cache.invalidateQueries({ queryKey: keys.jobs }),
        cache.invalidateQueries({ queryKey: keys.deadLetters }),
      ]),
  })
  if (counted.isIdle) counted.mutate()
  const matched = counted.data?.count
  const error = counted.error ?? started.error
  const now = progress.data
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={words.title}
      description="First it is counted; nothing is done before you say so. Each one is decided by policy on its own."
      footer={
        operation === undefined ? (
          <>
            <Button onClick={onClose}>Back</Button>
            <Button
              tone="danger-solid"
              busy={counted.isPending || started.isPending}
              off={matched === undefined ? 'It is being counted.' : matched === 0 && 'Nothing matches.'}
              onClick={() => started.mutate(matched ?? 0)}
            >
              {words.verb} {matched === undefined ? '' : count(matched)}
            </Button>
          </>
        ) : (
          <Button tone="primary" onClick={onClose}>
            {now?.state === 'running' ? 'Let it go on' : 'Close'}
          </Button>
        )
      }
    >
      {error && <Note status="failed">{failureOf(error).message}</Note>}
      {operation === undefined && counted.data && (
        <>
          <BlastChip reach={reachOf(counted.data.count)} words={plural(counted.data.count, 'job')} undo={words.undo} />
          <ul className="mt-3 text-s2">
            {counted.data.groups.map((group) => (
              <li key={group.name} className="flex border-b border-line-1 py-1">
                <span className="mono">{group.name}</span>
                <span className="num ml-auto">{count(group.count)}</span>
              </li>
            ))}
          </ul>
        </>
      )}
      {now && (
        <div className="grid gap-2 text-s2" aria-live="polite">
          <ProgressBar
            percent={now.matched === 0 ? 100 : ((now.done + now.skipped + now.failed) / now.matched) * 100}
          />
          <p>
            {count(now.done)} of {count(now.matched)} done
            {now.skipped > 0 && `, ${count(now.skipped)} had changed meanwhile`}
            {now.failed > 0 && `, ${count(now.failed)} failed`}
          </p>
          {now.lastError && <Note status="warning">{now.lastError}</Note>}
        </div>
      )}
    </Dialog>
  )
}
