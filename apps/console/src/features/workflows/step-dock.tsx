import { Link } from '@tanstack/react-router'
import type { ChildStepRun, StepRun, WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { RotateCw } from 'lucide-react'
import { useMemo } from 'react'
import { useJobOutput } from '../../api/job-output.ts'
import { useDecisions } from '../../api/jobs.ts'
import { useInboxItem } from '../../api/inbox.ts'
import { useWhyJob } from '../../api/operations.ts'
import { useChildren } from '../../api/workflows.ts'
import { useRefusal } from '../../app/allowed.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { instant, sentence } from '../../ui/age.ts'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { useNow } from '../../ui/clock.ts'
import { JsonView } from '../../ui/code-block.tsx'
import { LogView } from '../../ui/log-view.tsx'
import { FactsLine } from '../../ui/page.tsx'
import { SkeletonRows } from '../../ui/states.tsx'
import { StatusPill, StatusShape } from '../../ui/status.tsx'
import { Tabs, tabPanel } from '../../ui/tabs.tsx'
import { Age } from '../../ui/time.tsx'
import { AskAnswer } from '../inbox/ask-answer.tsx'
import { shownOf } from '../inbox/ask-words.ts'
import { useAsks } from '../inbox/use-asks.ts'
import { streamedLines } from '../instance/output-lines.ts'
import { decisionState } from '../jobs/job-state.ts'
import { whyLines } from '../jobs/why-lines.ts'
import { kindWords } from './kind-words.ts'
import { childWords, hasEnded, itemWords, type PlanShape, stepState, stepTook } from './run-words.ts'

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
  const waitsForPeople = step?.status === 'waiting' && (node?.kind === 'approval' || node?.kind === 'form')
  const part = parts.find((each) => each === url['part']) ?? (counts ? 'items' : waitsForPeople ? 'input' : 'output')
  if (!node) return <aside aria-label="Step" className="border-l border-line-1" />
  const { status, word } = stepState(step)
  return (
    <aside
      aria-label={`Step ${key}`}
      className="flex min-h-0 min-w-0 flex-col border-l border-line-1 narrow:border-t narrow:border-l-0"
    >
      <header className="flex flex-none flex-wrap items-center gap-2 px-4 pt-3">
        <span className="flex max-w-full min-w-0 items-center gap-2">
          <StatusShape status={status} size={14} />
          <h2 className="truncate text-s4 font-strong" title={node.name}>
            {node.name}
          </h2>
        </span>
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
      {waitsForPeople && step.approval_id !== undefined && (
        <Decide key={step.approval_id} approvalId={step.approval_id} />
      )}
      {step?.job_id !== undefined && step.completed_at === undefined && <JobWaits jobId={step.job_id} />}
      <Tabs
        id="step"
        label="Parts of the step"
        className="px-[7px]"
        value={part}
        onChange={(next) => setUrl({ part: next })}
        tabs={parts.map((value) => ({ value, label: WORDS[value] }))}
      />
      <div
        {...tabPanel('step', part)}
        className="flex min-h-[180px] flex-1 flex-col overflow-y-auto focus-visible:-outline-offset-2"
      >
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

/** What waits for a person is decided here as in the inbox: with the hash of what is shown, and the value where one is asked for. */
function Decide(props: { approvalId: string }) {
  const item = useInboxItem(props.approvalId)
  const open = useMemo(() => (item.data?.state === 'open' ? [item.data] : []), [item.data])
  const asks = useAsks(open, props.approvalId, () => {})
  const [asked] = open
  if (item.isPending) return <SkeletonRows rows={2} />
  if (item.isError && !item.data)
    return <FailureView error={item.error} what="the request" onRetry={() => void item.refetch()} />
  if (!asked) return null
  const { instructions } = shownOf(asked)
  return (
    <section
      aria-label="Decide"
      className="mx-4 mb-3 flex-none rounded-r3 border border-waiting-line bg-surface-2 p-3.5"
    >
      {instructions && <p className="mb-2.5 text-pretty whitespace-pre-wrap text-ink">{instructions}</p>}
      <AskAnswer item={asked} asks={asks} link={false} />
    </section>
  )
}

/** Why the job of a step has not begun, and where it is decided when a person must. */
function JobWaits(props: { jobId: string }) {
  const why = useWhyJob(props.jobId, true)
  const waits = why.data?.waitsFor.find(({ kind }) => kind !== 'running')
  if (!why.data || why.data.ended || !waits) return null
  return (
    <Note status="waiting" className="mx-4 mb-2">
      <b>{sentence(why.data.summary)}</b> {whyLines(why.data).join(' ')}{' '}
      {waits.kind === 'approval' && (
        <Link
          to="/inbox"
          search={{ job: props.jobId }}
          className="font-medium text-accent-text underline-offset-3 hover:underline"
        >
          Open in the inbox
        </Link>
      )}
    </Note>
  )
}
