import type { InboxItem } from '@wheelhouse/contract/native/inbox'
import { instant, sentence } from '../../ui/age.ts'
import { BlastMark } from '../../ui/blast.tsx'
import { useNow } from '../../ui/clock.ts'
import { cx } from '../../ui/cx.ts'
import { Checkbox } from '../../ui/form.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { Age } from '../../ui/time.tsx'
import { AskPanel } from './ask-panel.tsx'
import { askWords, leftWords, riskWords, voteWords } from './ask-words.ts'
import type { Asks } from './use-asks.ts'

/** Requests under each other, the one in hand open with everything needed to decide. */
export function AskList(props: {
  items: readonly InboxItem[]
  asks: Asks
  onOpen: (id: string) => void
  selection?: ReadonlySet<string>
  onSelect?: (id: string) => void
}) {
  const { asks, selection, onSelect } = props
  const now = useNow(10_000)
  return (
    <ol aria-label="Requests">
      {props.items.map((item) => {
        const here = asks.open?.id === item.id
        const left = leftWords(item, now)
        return (
          <li
            key={item.id}
            className={cx(
              'border-t border-line-1 first:border-t-0',
              here && 'bg-selected shadow-[inset_2px_0_0_var(--accent)]',
            )}
          >
            <div className="flex items-start">
              {selection && onSelect && (
                <Checkbox
                  label={`Select ${askWords(item)}`}
                  hideLabel
                  checked={selection.has(item.id)}
                  onChange={() => onSelect(item.id)}
                  className="mt-[13px] ml-3.5 flex-none"
                />
              )}
              <button
                type="button"
                aria-expanded={here}
                onClick={() => props.onOpen(item.id)}
                className="grid min-w-0 flex-1 grid-cols-[16px_minmax(0,1fr)_auto] items-start gap-x-3 px-3.5 py-2.5 text-left focus-visible:-outline-offset-2"
              >
                <StatusShape status="waiting" size={14} className="mt-[3px]" />
                <span className="min-w-0">
                  <span className={cx('block truncate font-medium text-ink', item.kind === 'job' && 'mono')}>
                    {askWords(item)}
                  </span>
                  <span className="block text-s2 text-ink-2">
                    {item.kind === 'step' ? 'started by' : 'asked by'}{' '}
                    <b className="font-medium text-ink">{item.requestedBy || 'nobody named'}</b>{' '}
                    <Age at={instant(item.createdAt)} suffix=" ago" />
                    {item.kind === 'job' && item.jobId !== null && (
                      <>
                        {' '}
                        · job <span className="mono">{item.jobId.slice(-6)}</span>
                      </>
                    )}
                    {item.runId !== null && (
                      <>
                        {' '}
                        · run <span className="mono">{item.runId.slice(-6)}</span>
                      </>
                    )}
                    {item.ruleId && (
                      <>
                        {' '}
                        · rule <span className="mono">{item.ruleId}</span>
                      </>
                    )}
                    {item.reason && !here && ` · ${item.reason}`}
                    {item.reason && here && <span className="block text-ink">{sentence(item.reason)}</span>}
                  </span>
                </span>
                <span className="flex flex-col items-end gap-0.5 pt-0.5 text-s2 text-ink-2 narrow:hidden">
                  {item.kind === 'job' && (
                    <span className="flex items-center gap-1.5">
                      <BlastMark reach={item.riskTags.includes('destructive') ? 'all' : 'one'} />
                      {riskWords(item.riskTags)}
                    </span>
                  )}
                  {item.kind === 'step' && <span>step of a run</span>}
                  {[voteWords(item), left].some(Boolean) && (
                    <span className="num text-ink-3">{[voteWords(item), left].filter(Boolean).join(' · ')}</span>
                  )}
                </span>
              </button>
            </div>
            {here && (
              <div className={cx('px-3.5 pt-1 pb-4', selection ? 'wide:pl-[73px]' : 'wide:pl-[42px]')}>
                <AskPanel item={item} asks={asks} />
              </div>
            )}
          </li>
        )
      })}
    </ol>
  )
}
