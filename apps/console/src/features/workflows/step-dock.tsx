import { Link } from '@tanstack/react-router'
import type { ChildStepRun, StepRun, WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { Check, RotateCw, X } from 'lucide-react'
import { useMemo, useState } from 'react'
import { failureOf } from '../../api/failure.ts'
import { useJobOutput } from '../../api/job-output.ts'
import { useDecisions } from '../../api/jobs.ts'
import { useChildren, useDecideStep } from '../../api/workflows.ts'
import { useRefusal } from '../../app/allowed.ts'
import { useUrlState } from '../../app/url-state.ts'
import { instant, sentence } from '../../ui/age.ts'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { useNow } from '../../ui/clock.ts'
import { JsonView } from '../../ui/code-block.tsx'
import { Field, TextArea, TextInput } from '../../ui/form.tsx'
import { LogView } from '../../ui/log-view.tsx'
import { FactsLine } from '../../ui/page.tsx'
import { StatusPill, StatusShape } from '../../ui/status.tsx'
import { Tabs, tabPanel } from '../../ui/tabs.tsx'
import { Age } from '../../ui/time.tsx'
import { toast } from '../../ui/toast.tsx'
import { streamedLines } from '../instance/output-lines.ts'
import { decisionState } from '../jobs/job-state.ts'
import { childWords, hasEnded, itemWords, kindWords, type PlanShape, stepState, stepTook } from './run-words.ts'

const PARTS = ['output', 'input', 'log', 'policy', 'items'] as const
type Part = (typeof PARTS)[number]
const WORDS: Record<Part, string> = { output: 'Output', input: 'Input', log: 'Log', policy: 'Policy', items: 'Items' }

/** One step of a run: how it went, what it got and gave, what policy said, what people must decide. */
export function StepDock(props: {
  run: WorkflowRun
  plan: PlanShape
  step: string | undefined
  onRerun: (step: string) => void
}) {
  const { run, plan, step: key = '' } = props
  const [url, setUrl] = useUrlState()
  const now = useNow()
  const parent = key.replace(/\[\d+\]$/, '')
  const node = plan.nodes.find(({ id }) => id === parent)
  const step: StepRun | ChildStepRun | undefined = run.steps?.[key] ?? run.steps?.[parent]?.children?.[key]
  const refusal = useRefusal()
  const counts = step && 'children_counts' in step ? step.children_counts : undefined
  const parts = PARTS.filter((part) => (part !== 'log' && part !== 'policy') || step?.job_id !== undefined).filter(
    (part) => part !== 'items' || counts !== undefined,
  )
  const part = parts.find((each) => each === url['part']) ?? (counts ? 'items' : 'output')
  if (!node) return <aside aria-label="Step" className="border-l border-line-1" />
  const { status, word } = stepState(step)
  const waitsForPeople = step?.status === 'waiting' && (node.kind === 'approval' || node.kind === 'form')
  return (
    <aside
      aria-label={`Step ${key}`}
      className="flex min-h-0 min-w-0 flex-col border-l border-line-1 narrow:border-t narrow:border-l-0"
    >
      <header className="flex flex-none flex-wrap items-center gap-2 px-4 pt-3">
        <StatusShape status={status} size={14} />
        <h2 className="truncate text-s4 font-strong">{node.name}</h2>
        {key !== parent && <span className="mono truncate text-ink-3">{key}</span>}
        <StatusPill status={status}>{word}</StatusPill>
        {hasEnded(run.status) && (
          <Button
            size="sm"
            icon={RotateCw}
            className="ml-auto"
            off={refusal('jobs', 'POST', '/api/v1/workflow-runs/{id}/rerun')}
            onClick={() => props.onRerun(parent)}
          >
            Rerun from here
          </Button>
        )}
      </header>
      <div className="flex-none px-4">
        <FactsLine
          facts={[
            { name: 'kind', value: kindWords(node.kind) },
            node.topic !== undefined && { name: 'topic', value: node.topic, mono: true },
            step?.attempts !== undefined && step.attempts > 0 && { name: 'try', value: step.attempts },
            stepTook(step, now) !== '' && { name: 'took', value: stepTook(step, now) },
            counts !== undefined && { name: 'items', value: childWords(counts) },
            step?.job_id !== undefined && {
              name: 'job',
              value: (
                <Link to="/jobs/$id" params={{ id: step.job_id }} className="mono underline-offset-3 hover:underline">
                  {step.job_id.slice(-14)}
                </Link>
              ),
            },
            step?.child_run_id !== undefined && {
              name: 'run',
              value: (
                <Link
                  to="/runs/$id"
                  params={{ id: step.child_run_id }}
                  className="mono underline-offset-3 hover:underline"
                >
                  {step.child_run_id.slice(-6)}
                </Link>
              ),
            },
            step?.next_attempt_at !== undefined &&
              step.retrying === true && { name: 'again', value: <Age at={step.next_attempt_at} /> },
          ]}
        />
      </div>
      {step?.error && (
        <Note status="failed" className="mx-4 mb-2">
          {sentence(step.error.message)}
        </Note>
      )}
      {waitsForPeople && <Decide run={run} step={key} kind={node.kind} input={step?.input} />}
      <Tabs
        id="step"
        label="Parts of the step"
        value={part}
        onChange={(next) => setUrl({ part: next })}
        tabs={parts.map((value) => ({ value, label: WORDS[value] }))}
      />
      <div {...tabPanel('step', part)} className="flex min-h-[180px] flex-1 flex-col overflow-y-auto outline-none">
        {part === 'output' && (
          <div className="p-4">
            {step?.output === undefined ? (
              <p className="text-s2 text-ink-3">{step?.completed_at ? 'It gave nothing.' : 'It has not ended.'}</p>
            ) : (
              <JsonView label="Output" value={step.output} maxHeight={420} />
            )}
          </div>
        )}
        {part === 'input' && (
          <div className="p-4">
            {step?.input === undefined ? (
              <p className="text-s2 text-ink-3">It has not begun.</p>
            ) : (
              <JsonView label="Input" value={step.input} maxHeight={420} />
            )}
          </div>
        )}
        {part === 'log' && step?.job_id !== undefined && <StepLog jobId={step.job_id} />}
        {part === 'policy' && step?.job_id !== undefined && <StepPolicy jobId={step.job_id} />}
        {part === 'items' && <Items run={run} step={parent} />}
      </div>
    </aside>
  )
}

function StepLog(props: { jobId: string }) {
  const output = useJobOutput(props.jobId)
  const lines = useMemo(() => streamedLines(output.chunks), [output.chunks])
  if (lines.length === 0) return <p className="p-4 text-s2 text-ink-3">Nothing was written.</p>
  return <LogView label="Log of the step" lines={lines} />
}

function StepPolicy(props: { jobId: string }) {
  const decisions = useDecisions(props.jobId)
  return (
    <ul aria-label="Decisions" className="text-s2">
      {(decisions.data ?? []).map((decision, index) => {
        const { status, word } = decisionState(decision.decision)
        return (
          <li key={index} className="flex items-start gap-2 border-b border-line-1 px-4 py-2">
            <StatusShape status={status} size={14} className="mt-0.5" />
            <span className="min-w-0">
              <b className="font-medium text-ink">{word}</b> <span className="mono text-ink-3">{decision.rule_id}</span>
              {decision.reason && <span className="block text-ink-2">{sentence(decision.reason)}</span>}
            </span>
            <span className="ml-auto text-ink-3">
              <Age at={instant(decision.checked_at)} />
            </span>
          </li>
        )
      })}
    </ul>
  )
}

/** Children by pages: ten thousand of them are read as they are scrolled to. */
function Items(props: { run: WorkflowRun; step: string }) {
  const [, setUrl] = useUrlState()
  const children = useChildren(props.run.id, props.step, true)
  const rows = (children.data?.pages ?? []).flatMap((page) => page.items)
  return (
    <>
      <ul aria-label="Items" className="text-s2">
        {rows.map((child) => {
          const { status, word } = stepState(child)
          return (
            <li key={child.step_id} className="border-b border-line-1">
              <button
                type="button"
                onClick={() => setUrl({ step: child.step_id })}
                className="flex w-full items-center gap-2 px-4 py-1.5 text-left hover:bg-hover"
              >
                <StatusShape status={status} size={12} label={word} />
                <span className="num w-10 flex-none text-ink-3">{child.index}</span>
                <span className="mono truncate">{itemWords(child) || child.step_id}</span>
                {child.error && <span className="ml-auto truncate text-failed-text">{child.error.message}</span>}
              </button>
            </li>
          )
        })}
      </ul>
      {children.hasNextPage && (
        <Button
          tone="quiet"
          className="m-2 self-center"
          busy={children.isFetchingNextPage}
          onClick={() => void children.fetchNextPage()}
        >
          Show more
        </Button>
      )}
    </>
  )
}

/** What waits for a person is decided here, with the value where one is asked for. */
function Decide(props: { run: WorkflowRun; step: string; kind: string; input: unknown }) {
  const { run, step, kind } = props
  const decide = useDecideStep(run)
  const refusal = useRefusal()
  const [reason, setReason] = useState('')
  const [value, setValue] = useState('{}')
  const off = refusal('jobs', 'POST', '/api/v1/workflows/{id}/runs/{run_id}/steps/{step_id}/approve')
  const go = (approved: boolean) => {
    let given: unknown
    if (kind === 'form' && approved) {
      try {
        given = JSON.parse(value)
      } catch {
        toast({ status: 'failed', title: 'The value is not JSON', text: 'Nothing was decided.' })
        return
      }
    }
    void decide
      .mutateAsync({
        step,
        approved,
        ...(reason === '' ? {} : { reason }),
        ...(given === undefined ? {} : { value: given }),
      })
      .then(
        () => toast({ status: approved ? 'ok' : 'denied', title: approved ? 'Approved' : 'Rejected', text: step }),
        (error: unknown) => toast({ status: 'failed', title: 'Not decided', text: failureOf(error).message }),
      )
  }
  return (
    <section
      aria-label="Decide"
      className="mx-4 mb-3 grid flex-none gap-2.5 rounded-r3 border border-waiting-line bg-waiting-soft p-3"
    >
      {kind === 'form' && (
        <Field label="Value, as JSON">
          {(shape) => (
            <TextArea {...shape} mono rows={3} value={value} onChange={(event) => setValue(event.target.value)} />
          )}
        </Field>
      )}
      <Field label="Reason" optional>
        {(shape) => <TextInput {...shape} value={reason} onChange={(event) => setReason(event.target.value)} />}
      </Field>
      <div className="flex gap-2">
        <Button icon={Check} tone="primary" off={off} busy={decide.isPending} onClick={() => go(true)}>
          Approve
        </Button>
        <Button icon={X} tone="danger" off={off} busy={decide.isPending} onClick={() => go(false)}>
          Reject
        </Button>
      </div>
    </section>
  )
}
