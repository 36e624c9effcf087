import type { ApprovalItem } from '../../api/wire.ts'
import { instant } from '../../ui/age.ts'
import { BlastMark } from '../../ui/blast.tsx'
import { cx } from '../../ui/cx.ts'
import { StatusShape } from '../../ui/status.tsx'
import { Age } from '../../ui/time.tsx'
import { AskPanel } from './ask-panel.tsx'
import { askWords, riskWords } from './ask-words.ts'
import type { useAsks } from './use-asks.ts'

/** Requests under each other, the one in hand open with everything needed to decide. */
export function AskList(props: {
  items: readonly ApprovalItem[]
  asks: ReturnType<typeof useAsks>
  onOpen: (jobId: string) => void
}) {
  const { asks } = props
  return (
    <ol aria-label="Requests">
      {props.items.map((item) => {
        const here = asks.open?.job_id === item.job_id
        return (
          <li
            key={item.job_id}
            className={cx(
              'border-t border-line-1 first:border-t-0',
              here && 'bg-selected shadow-[inset_2px_0_0_var(--accent)]',
            )}
          >
            <button
              type="button"
              aria-expanded={here}
              onClick={() => props.onOpen(item.job_id)}
              className="grid w-full grid-cols-[16px_minmax(0,1fr)_auto] items-start gap-x-3 px-3.5 py-2.5 text-left focus-visible:-outline-offset-2"
            >
              <StatusShape status="waiting" size={14} className="mt-[3px]" />
              <span className="min-w-0">
                <span className="mono block truncate font-medium text-ink">{askWords(item)}</span>
                <span className="block text-s2 text-ink-2">
                  asked by{' '}
                  <b className="font-medium text-ink">{item.job.actor_id ?? item.job.principal ?? 'nobody named'}</b>{' '}
                  <Age at={instant(item.job.updated_at)} suffix=" ago" />
                  {item.policy_rule_id && (
                    <>
                      {' '}
                      · rule <span className="mono">{item.policy_rule_id}</span>
                    </>
                  )}
                  {item.policy_reason && ` · ${item.policy_reason}`}
                </span>
              </span>
              <span className="flex items-center gap-1.5 pt-0.5 text-s2 text-ink-2 narrow:hidden">
                <BlastMark reach={item.job.risk_tags?.includes('destructive') ? 'all' : 'one'} />
                {riskWords(item.job)}
              </span>
            </button>
            {here && (
              <div className="px-3.5 pt-1 pb-3.5 wide:pl-[42px]">
                <AskPanel
                  item={item}
                  reason={asks.reason}
                  onReason={asks.setReason}
                  reasonRef={asks.reasonRef}
                  missing={asks.missing}
                  busy={asks.busy}
                  off={asks.off}
                  onDecide={(verdict) => void asks.answer(verdict)}
                />
              </div>
            )}
          </li>
        )
      })}
    </ol>
  )
}
