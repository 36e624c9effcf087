import { Link } from '@tanstack/react-router'
import { useId } from 'react'
import { useJob } from '../../api/jobs.ts'
import type { ApprovalItem } from '../../api/wire.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { plural } from '../../ui/age.ts'
import { ConsequenceLines, type Consequences } from '../../ui/blast.tsx'
import { Button } from '../../ui/button.tsx'
import { CodeBlock, JsonView } from '../../ui/code-block.tsx'
import { TextArea } from '../../ui/form.tsx'
import { Note } from '../../ui/banner.tsx'
import { SkeletonRows } from '../../ui/states.tsx'
import { commandOf, exactArguments, reachedOf, riskWords } from './ask-words.ts'

/** What the approval would let happen: exactly these arguments, what they reach, the rule that asks, and the two answers. */
export function AskPanel(props: {
  item: ApprovalItem
  reason: string
  onReason: (reason: string) => void
  reasonRef: React.RefObject<HTMLTextAreaElement | null>
  missing: boolean
  busy: boolean
  off: string | undefined
  onDecide: (verdict: 'approve' | 'reject') => void
}) {
  const { item } = props
  const id = useId()
  const job = useJob(item.job_id)
  if (job.isPending) return <SkeletonRows rows={4} />
  if (!job.data) return <FailureView error={job.error} what="the arguments" onRetry={() => void job.refetch()} />
  const args = exactArguments(job.data.context)
  const command = commandOf(args)
  const reached = reachedOf(args)
  const lines: Consequences = {
    reach: {
      level: reached.length === 0 ? 1 : reached.length <= 1 ? 1 : reached.length <= 25 ? 2 : 3,
      words: reached.length === 0 ? 'named in the arguments' : <b>{plural(reached.length, 'instance')}</b>,
      ...(reached.length > 0 && reached.length <= 3
        ? { more: <span className="mono">{reached.join(', ')}</span> }
        : {}),
    },
    undo: { level: 2, words: 'the verb declares none here' },
    cost: { level: 0, words: 'none is declared' },
    data: { level: job.data.risk_tags?.length ? 2 : 0, words: `risk: ${riskWords(job.data)}` },
  }
  return (
    <div className="grid gap-x-5 gap-y-3 roomy:grid-cols-[minmax(0,1fr)_300px]">
      <div className="flex min-w-0 flex-col gap-2.5">
        {command !== undefined && <CodeBlock title="Runs" label="Command" text={command} maxHeight={200} wrap />}
        {args === null || args === undefined ? (
          <Note status="unknown">The arguments are not kept any more. It cannot be judged.</Note>
        ) : (
          <JsonView title="Exact arguments" label="Exact arguments" value={args} maxHeight={300} />
        )}
        {item.constraints && Object.keys(item.constraints).length > 0 && (
          <JsonView title="Within these limits" label="Limits" value={item.constraints} maxHeight={160} />
        )}
      </div>
      <div className="flex min-w-0 flex-col gap-3">
        <ConsequenceLines of={lines} />
        <div className="flex flex-col gap-1">
          <label htmlFor={id} className="text-s2 text-ink-2">
            Reason, kept in the evidence
          </label>
          <TextArea
            id={id}
            ref={props.reasonRef}
            rows={2}
            value={props.reason}
            onChange={(event) => props.onReason(event.target.value)}
            placeholder="What you checked"
            {...(props.missing ? { 'aria-invalid': true, 'aria-describedby': `${id}-missing` } : {})}
          />
          {props.missing && (
            <p id={`${id}-missing`} className="text-s2 text-failed-text">
              Say why. Whoever asked reads it.
            </p>
          )}
        </div>
        <div className="flex flex-wrap items-center gap-2">
          <Button tone="primary" hotkey="a" busy={props.busy} off={props.off} onClick={() => props.onDecide('approve')}>
            Approve
          </Button>
          <Button tone="danger" hotkey="r" busy={props.busy} off={props.off} onClick={() => props.onDecide('reject')}>
            Reject
          </Button>
          <Link
            to="/jobs/$id"
            params={{ id: item.job_id }}
            className="ml-auto font-medium text-accent-text hover:underline"
          >
            Open
          </Link>
        </div>
        <p className="text-s1 text-ink-3">
          Binds exactly these arguments, hash <span className="mono">{item.job_hash.slice(0, 12)}…</span> Any change
          asks again.
        </p>
      </div>
    </div>
  )
}
