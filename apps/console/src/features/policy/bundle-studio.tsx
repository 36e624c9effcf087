import { FilePlus2, Save, Upload } from 'lucide-react'
import { lazy, Suspense, useEffect, useMemo, useState } from 'react'
import { failureOf } from '../../api/failure.ts'
import { usePolicyBundles, usePublish, useSaveBundle, type PolicyBundles } from '../../api/policy.ts'
import { ActButton } from '../../app/act-button.tsx'
import { useRefusal } from '../../app/allowed.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { plural } from '../../ui/age.ts'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { CodeEditor, type CodeProblem } from '../../ui/code-editor.tsx'
import { Field, TextInput } from '../../ui/form.tsx'
import { SkeletonRows } from '../../ui/states.tsx'
import { StatusShape, StatusText } from '../../ui/status.tsx'
import { Tabs, tabPanel } from '../../ui/tabs.tsx'
import { toast } from '../../ui/toast.tsx'
import { FIRST_BUNDLE, problemOf, readPolicy } from './policy-text.ts'
import { TestsPanel } from './tests-panel.tsx'

const SimulatePanel = lazy(() => import('./simulate-panel.tsx').then((module) => ({ default: module.SimulatePanel })))
const WhatIfPanel = lazy(() => import('./what-if-panel.tsx').then((module) => ({ default: module.WhatIfPanel })))

const NEW = 'secops/new'
const PANELS = ['tests', 'simulate', 'what-if'] as const
const WORDS = { tests: 'Tests', simulate: 'Try one job', 'what-if': 'What if' }
type Bundle = PolicyBundles['items'][number]

/** Bundles, one of them in an editor; beside it what the draft would say of one job, and of all that was decided. */
export function BundleStudio() {
  const bundles = usePolicyBundles()
  const [url, setUrl] = useUrlState()
  if (bundles.isPending) return <SkeletonRows rows={8} />
  if (!bundles.data)
    return <FailureView error={bundles.error} what="the bundles" onRetry={() => void bundles.refetch()} />
  const { items, bundles: contents } = bundles.data
  const chosen = url['bundle'] ?? items.find(({ source }) => source === 'secops')?.id ?? items[0]?.id ?? NEW
  const known = items.find(({ id }) => id === chosen)
  return (
    <div className="grid min-h-0 flex-1 grid-cols-[minmax(0,1fr)] gap-3 p-4 wide:p-5 roomy:grid-cols-[230px_minmax(0,1fr)]">
      <BundleList items={items} chosen={chosen} onChoose={(id) => setUrl({ bundle: id })} />
      <Studio
        key={chosen}
        id={chosen}
        known={known}
        stored={known ? (contents[chosen]?.content ?? '') : FIRST_BUNDLE}
        onSaved={(id) => setUrl({ bundle: id })}
      />
    </div>
  )
}

function BundleList(props: { items: readonly Bundle[]; chosen: string; onChoose: (id: string) => void }) {
  const refusal = useRefusal()
  return (
    <nav aria-label="Bundles" className="flex flex-col gap-2">
      <ul className="rounded-r2 border border-line-1 text-s2">
        {props.items.map(({ id, enabled, source }) => (
          <li key={id} className="border-b border-line-1 last:border-b-0">
            <button
              type="button"
              aria-pressed={id === props.chosen}
              onClick={() => props.onChoose(id)}
              className="flex w-full items-center gap-2 px-3 py-2 text-left hover:bg-hover aria-pressed:bg-selected"
            >
              <StatusShape status={enabled ? 'ok' : 'off'} size={12} label={enabled ? 'in force' : 'not in force'} />
              <span className="mono truncate text-ink" title={id}>
                {id}
              </span>
              {/* secops/… says it already. */}
              {!id.startsWith(`${source}/`) && <span className="ml-auto text-s1 text-ink-3">{source}</span>}
            </button>
          </li>
        ))}
      </ul>
      <Button
        icon={FilePlus2}
        off={refusal('jobs', 'PUT', '/api/v1/policy/bundles/{id}')}
        onClick={() => props.onChoose(NEW)}
      >
        New bundle
      </Button>
    </nav>
  )
}

function Studio(props: { id: string; known: Bundle | undefined; stored: string; onSaved: (id: string) => void }) {
  const { known, stored } = props
  const [text, setText] = useState(stored)
  const [id, setId] = useState(props.id)
  const [refused, setRefused] = useState<CodeProblem>()
  const [url, setUrl] = useUrlState()
  const save = useSaveBundle()
  const refusal = useRefusal()
  const panel = PANELS.find((each) => each === url['panel']) ?? 'tests'
  const read = useMemo(() => readPolicy(text), [text])
  const problems = useMemo(() => [...read.problems, ...(refused ? [refused] : [])], [read, refused])
  const own = props.id.startsWith('secops/')
  const changed = text !== stored
  const broken = read.problems.some(({ severity }) => severity === 'error')
  useEffect(() => setRefused(undefined), [text])
  const off =
    refusal('jobs', 'PUT', '/api/v1/policy/bundles/{id}') ??
    (own ? undefined : 'Copy it into a bundle of your own: only secops/ ids can be changed here.') ??
    (/^secops\/[\w.-]+$/.test(id) ? undefined : 'The id must read secops/<name>.') ??
    (broken ? 'It cannot be read yet.' : undefined)
  const store = () =>
    save.mutateAsync({ id, content: text }).then(
      () => {
        toast({
          status: 'ok',
          title: 'Saved',
          text: known?.enabled ? 'In force at once' : 'Not in force before it is published',
        })
        return props.onSaved(id)
      },
      (error: unknown) => setRefused(problemOf(failureOf(error).message, text)),
    )
  return (
    <div className="flex min-h-0 min-w-0 flex-col gap-2.5">
      <div className="flex flex-none flex-wrap items-center gap-2.5">
        {known ? (
          <b className="mono font-medium">{props.id}</b>
        ) : (
          <TextInput
            aria-label="Id of the bundle"
            mono
            value={id}
            onChange={(event) => setId(event.target.value)}
            className="w-56"
          />
        )}
        <span aria-live="polite">
          {problems.length > 0 ? (
            <StatusText status={broken || refused ? 'failed' : 'warning'}>
              {plural(problems.length, 'problem')}
            </StatusText>
          ) : (
            <StatusText status={known?.enabled && !changed ? 'ok' : 'unknown'}>
              {changed || !known ? 'Draft' : known.enabled ? 'In force' : 'Not published'}
            </StatusText>
          )}
        </span>
        <span className="text-s2 text-ink-3">{plural(read.rules, 'rule')}</span>
        <span className="ml-auto flex gap-2">
          <Button
            icon={Save}
            off={off ?? (changed || !known ? undefined : 'Nothing has changed.')}
            busy={save.isPending}
            onClick={() => void store()}
          >
            {known?.enabled ? 'Save and enforce' : 'Save draft'}
          </Button>
          {known && (
            <Publish
              bundle={known}
              off={off ?? (changed ? 'Save it first.' : known.enabled ? 'It is in force.' : undefined)}
            />
          )}
        </span>
      </div>
      {!own && (
        <Note status="unknown">
          This bundle comes from {known?.source === 'pack' ? 'a pack' : 'the installation'}. It is shown as it is;
          what-if may try changes to it all the same.
        </Note>
      )}
      <div className="grid min-h-0 flex-1 gap-3 roomy:grid-cols-[minmax(0,1fr)_minmax(0,0.9fr)]">
        <CodeEditor
          label="Policy"
          language="yaml"
          value={text}
          onChange={setText}
          problems={problems}
          className="min-h-[380px]"
        />
        <section
          aria-label="What the draft would say"
          className="flex min-h-[320px] min-w-0 flex-col rounded-r2 border border-line-1"
        >
          <Tabs
            id="studio"
            label="Ways to try the draft"
            value={panel}
            onChange={(next) => setUrl({ panel: next === 'tests' ? undefined : next })}
            tabs={PANELS.map((value) => ({
              value,
              label: WORDS[value],
              ...(value === 'tests' ? { count: read.cases.length } : {}),
            }))}
          />
          <div
            {...tabPanel('studio', panel)}
            className="min-h-0 flex-1 overflow-y-auto focus-visible:-outline-offset-2"
          >
            {panel === 'tests' && <TestsPanel id={id} text={text} cases={read.cases} broken={broken} />}
            <Suspense fallback={null}>
              {panel === 'simulate' && <SimulatePanel id={id} text={text} broken={broken} />}
              {panel === 'what-if' && <WhatIfPanel id={id} text={text} broken={broken} />}
            </Suspense>
          </div>
        </section>
      </div>
    </div>
  )
}

function Publish(props: { bundle: Bundle; off: string | undefined }) {
  const { bundle, off } = props
  const publish = usePublish()
  const [message, setMessage] = useState('')
  return (
    <ActButton
      button={
        <Button icon={Upload} tone="primary" off={off}>
          Publish
        </Button>
      }
      off={off}
      label="Publish the bundle"
      verb="Publish it"
      reach="many"
      consequences={{
        reach: {
          level: 2,
          words: <b>every job from now on</b>,
          more: 'and those that wait for approval are asked about again',
        },
        undo: { level: 1, words: 'roll back, at once' },
        cost: { level: 0, words: 'none' },
        data: { level: 0, words: 'none' },
      }}
      run={() => publish.mutateAsync({ id: bundle.id, message })}
      onDone={() => toast({ status: 'ok', title: 'Published', text: bundle.id })}
      failed="Not published"
    >
      <Field label="Why" optional className="mb-2">
        {(shape) => <TextInput {...shape} value={message} onChange={(event) => setMessage(event.target.value)} />}
      </Field>
    </ActButton>
  )
}
