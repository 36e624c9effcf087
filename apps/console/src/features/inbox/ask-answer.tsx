import type { InboxItem } from '@wheelhouse/contract/native/inbox'
import { lazy, Suspense, useId } from 'react'
import { useInboxItem } from '../../api/inbox.ts'
import { instant } from '../../ui/age.ts'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { JsonView } from '../../ui/code-block.tsx'
import { TextArea } from '../../ui/form.tsx'
import { SkeletonRows } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { Age } from '../../ui/time.tsx'
import { AskLink } from './ask-link.tsx'
import { firstValue, readValue } from './ask-value.ts'
import { shownOf, voteWords } from './ask-words.ts'
import type { Asks } from './use-asks.ts'

// Few requests ask for a value; what draws the form comes with the first of them.
const InputForm = lazy(() => import('../workflows/input-form.tsx').then((module) => ({ default: module.InputForm })))

/** The value where one is asked for, the reason, the two answers, and to what exactly they are bound. */
export function AskAnswer(props: { item: InboxItem; asks: Asks; link?: boolean }) {
  const { item, asks } = props
  const id = useId()
  const shown = shownOf(item)
  const text = asks.value ?? firstValue(shown.schema)
  return (
    <div className="flex min-w-0 flex-col gap-3">
      {shown.form && (
        <>
          <Suspense fallback={<SkeletonRows rows={2} />}>
            <InputForm
              label="Value"
              schema={shown.schema}
              text={text}
              onChange={asks.setValue}
              problem={readValue(text, shown.schema).problem}
              className="h-36"
            />
          </Suspense>
          {shown.schema !== undefined && (
            <details className="text-s2 text-ink-2">
              <summary className="cursor-default">The schema that it must fit</summary>
              <JsonView label="Schema of the value" value={shown.schema} maxHeight={200} />
            </details>
          )}
        </>
      )}
      {item.required > 1 && <Votes item={item} />}
      <div className="flex flex-col gap-1">
        <label htmlFor={id} className="text-s2 text-ink-2">
          Reason, kept in the evidence
        </label>
        <TextArea
          id={id}
          ref={asks.reasonRef}
          rows={2}
          value={asks.reason}
          onChange={(event) => asks.setReason(event.target.value)}
          placeholder="What you checked"
          {...(asks.missing ? { 'aria-invalid': true, 'aria-describedby': `${id}-missing` } : {})}
        />
        {asks.missing && (
          <p id={`${id}-missing`} className="text-s2 text-failed-text">
            Say why. Whoever asked reads it.
          </p>
        )}
      </div>
      <div aria-live="polite" className="empty:hidden">
        {asks.said && <Note status={asks.said.status}>{asks.said.text}</Note>}
      </div>
      <div className="flex flex-wrap items-center gap-2">
        <Button tone="primary" hotkey="a" busy={asks.busy} off={asks.off} onClick={() => void asks.answer('approve')}>
          Approve
        </Button>
        <Button tone="danger" hotkey="r" busy={asks.busy} off={asks.off} onClick={() => void asks.answer('reject')}>
          Reject
        </Button>
        {props.link !== false && (
          <span className="ml-auto">
            <AskLink item={item} />
          </span>
        )}
      </div>
      <p className="text-s1 text-ink-3">
        Binds exactly these arguments, hash <span className="mono">{item.hash.slice(0, 12)}…</span> Any change asks
        again.
        {item.roles.length > 0 && ` For ${item.roles.join(' or ')} to decide.`}
        {!item.allowSelf && ' Not for who asked.'}
      </p>
    </div>
  )
}

/** Who has voted already, of how many that are needed. */
function Votes(props: { item: InboxItem }) {
  const { item } = props
  const one = useInboxItem(item.id)
  return (
    <section aria-label="Votes" className="text-s2">
      <h3 className="font-medium text-ink">{voteWords(item)}</h3>
      <ul>
        {(one.data?.cast ?? []).map((vote) => (
          <li key={`${vote.by}${vote.at}`} className="flex items-center gap-1.5 text-ink-2">
            <StatusShape status={vote.vote === 'approve' ? 'ok' : 'denied'} size={12} />
            <span className="truncate">
              <b className="font-medium text-ink">{vote.by}</b> {vote.reason}
            </span>
            <Age at={instant(vote.at)} className="ml-auto text-ink-3" />
          </li>
        ))}
      </ul>
    </section>
  )
}
