import { Link } from '@tanstack/react-router'
import type { WhatIfReply } from '@wheelhouse/contract/native/policy'
import { History, Square } from 'lucide-react'
import { useState } from 'react'
import { failureOf } from '../../api/failure.ts'
import { count, instant, plural, span } from '../../ui/age.ts'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { Field, Select, TextInput } from '../../ui/form.tsx'
import { ProgressBar } from '../../ui/sparkline.tsx'
import { StatusShape, type Status } from '../../ui/status.tsx'
import { Age } from '../../ui/time.tsx'
import { decisionState, topicWords } from '../jobs/job-state.ts'
import { useWhatIf } from './use-what-if.ts'

const DAY_MS = 86_400_000
const WINDOWS = [
  { value: '1', label: 'Last day' },
  { value: '7', label: 'Last 7 days' },
  { value: '30', label: 'Last 30 days' },
] as const

/** The draft tried on what was really decided: nothing is changed by it. */
export function WhatIfPanel(props: { id: string; text: string; broken: boolean }) {
  const [days, setDays] = useState<(typeof WINDOWS)[number]['value']>('7')
  const [topic, setTopic] = useState('')
  const whatIf = useWhatIf()
  const go = () =>
    whatIf.begin({
      draft: { bundles: [{ id: props.id, content: props.text }] },
      from: new Date(Date.now() - Number(days) * DAY_MS).toISOString(),
      ...(topic === '' ? {} : { topic }),
    })
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3 p-3">
      <div className="flex flex-wrap items-end gap-2.5">
        <Field label="Decisions of">
          {(shape) => <Select label="Window" shape={shape} value={days} onChange={setDays} options={WINDOWS} />}
        </Field>
        <Field label="Topic" optional>
          {(shape) => (
            <TextInput
              {...shape}
              mono
              placeholder="job.deploy.*"
              value={topic}
              onChange={(event) => setTopic(event.target.value)}
            />
          )}
        </Field>
        <Button
          icon={History}
          tone="primary"
          off={props.broken && 'The draft cannot be read yet.'}
          busy={whatIf.running && !whatIf.reply}
          onClick={go}
        >
          Replay
        </Button>
      </div>
      {whatIf.running && whatIf.reply && <Progress reply={whatIf.reply} onStop={whatIf.stop} />}
      {whatIf.error !== undefined && (
        <Note status="failed">
          {failureOf(whatIf.error).message} {whatIf.reply && 'What stands below is of the part before.'}
        </Note>
      )}
      {whatIf.reply && <Difference reply={whatIf.reply} running={whatIf.running} />}
    </div>
  )
}

/** How far a replay of many decisions is, part after part. */
function Progress(props: { reply: WhatIfReply; onStop: () => void }) {
  const { replayed, skipped, remaining } = props.reply
  const seen = replayed + skipped
  return (
    <div className="flex items-center gap-3 text-s2 text-ink-2">
      <ProgressBar percent={(seen / Math.max(1, seen + remaining)) * 100} />
      <span className="num">
        {count(seen)} of {count(seen + remaining)}
      </span>
      <Button size="sm" icon={Square} onClick={props.onStop} className="ml-auto">
        Stop
      </Button>
    </div>
  )
}

function Figures(props: { figures: readonly { status: Status; words: string; value: number }[] }) {
  return (
    <dl className="grid grid-cols-2 gap-2 wide:grid-cols-3">
      {props.figures.map(({ status, words, value }) => (
        <div key={words} className="rounded-r2 border border-line-1 px-3 py-2">
          <dt className="flex items-center gap-1.5 text-s1 text-ink-2">
            <StatusShape status={value === 0 ? 'off' : status} size={12} />
            {words}
          </dt>
          <dd className="num text-s5 font-strong">{count(value)}</dd>
        </div>
      ))}
    </dl>
  )
}

function Difference(props: { reply: WhatIfReply; running: boolean }) {
  const { reply } = props
  const { newly } = reply
  const figures = [
    { status: 'denied', words: 'newly denied', value: newly.denied },
    { status: 'waiting', words: 'newly held', value: newly.held },
    { status: 'warning', words: 'newly throttled', value: newly.throttled },
    { status: 'ok', words: 'newly allowed', value: newly.allowed },
    { status: 'warning', words: 'newly limited', value: newly.constrained },
    { status: 'unknown', words: 'lose their limits', value: newly.loosened },
  ] as const
  return (
    <>
      <p className="text-s2 text-ink-2" aria-live="polite">
        {plural(reply.replayed, 'decision')} replayed in {span(reply.tookMs)}; {count(reply.unchanged)}{' '}
        {reply.unchanged === 1 ? 'stays' : 'stay'} as {reply.unchanged === 1 ? 'it was' : 'they were'}
        {reply.otherRule > 0 && <>, {count(reply.otherRule)} of them by another rule</>}.
        {!reply.complete && !props.running && <> Stopped: {count(reply.remaining)} older ones were not looked at.</>}
        {reply.skipped > 0 && <> Of {count(reply.skipped)} it is not known any more what policy saw.</>}
      </p>
      {reply.warnings.map((warning) => (
        <Note key={warning} status="warning">
          {warning}
        </Note>
      ))}
      {figures.every(({ value }) => value === 0) ? (
        <Note status="ok">
          {reply.replayed === 0
            ? 'Nothing was decided in this time that it could be tried on. Choose a longer one.'
            : 'As it stands, it would have changed none of them.'}
        </Note>
      ) : (
        <Figures figures={figures} />
      )}
      {reply.transitions
        .filter(({ from, to }) => from !== to)
        .map(({ from, to, count: many, examples }) => (
          <section key={`${from} ${to}`} aria-label={`${from} becomes ${to}`}>
            <h2 className="flex items-center gap-1.5 py-1.5 text-s2 font-strong">
              {decisionState(from).word} <span className="text-ink-3">→</span>{' '}
              <StatusShape status={decisionState(to).status} size={12} />
              {decisionState(to).word}
              <span className="num ml-auto text-ink-2">{count(many)}</span>
            </h2>
            <ul className="rounded-r2 border border-line-1 text-s2">
              {examples.map((example) => (
                <li key={example.jobId} className="border-b border-line-1 px-3 py-1.5 last:border-b-0">
                  <p className="flex gap-2">
                    <Link
                      to="/jobs/$id"
                      params={{ id: example.jobId }}
                      className="mono truncate text-ink hover:underline"
                    >
                      {topicWords(example.topic)}
                    </Link>
                    <span className="truncate text-ink-3">{example.principal}</span>
                    {example.alike > 1 && <span className="num text-ink-3">and {count(example.alike - 1)} alike</span>}
                    <Age at={instant(example.at)} className="ml-auto text-ink-3" />
                  </p>
                  <p className="truncate text-ink-2">
                    <span className="mono">{example.before.rule || 'no rule'}</span> →{' '}
                    <span className="mono">{example.after.rule || 'no rule'}</span> {example.after.reason}
                  </p>
                </li>
              ))}
            </ul>
          </section>
        ))}
    </>
  )
}
