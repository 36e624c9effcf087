import { Link, useNavigate, useParams } from '@tanstack/react-router'
import type { WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { GitCompare, RotateCw, Square } from 'lucide-react'
import { useMemo, useState } from 'react'
import { useCancelRun, usePlan, useRun, useWhyRun } from '../../api/workflows.ts'
import { ActButton } from '../../app/act-button.tsx'
import { useRefusal } from '../../app/allowed.ts'
import { usePageName } from '../../app/crumbs.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { instant, sentence, span } from '../../ui/age.ts'
import { Banner, Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { useNow } from '../../ui/clock.ts'
import { JsonView } from '../../ui/code-block.tsx'
import { Graph } from '../../ui/graph.tsx'
import { FactsLine, ObjectHeader, Page } from '../../ui/page.tsx'
import { SkeletonRows, StaleLine } from '../../ui/states.tsx'
import { StatusPill } from '../../ui/status.tsx'
import { Tabs, tabPanel } from '../../ui/tabs.tsx'
import { Age } from '../../ui/time.tsx'
import { toast } from '../../ui/toast.tsx'
import { Waterfall } from '../../ui/waterfall.tsx'
import { whyLines } from '../jobs/why-lines.ts'
import { DryRunPlan } from './dry-run-plan.tsx'
import { Rerun } from './rerun.tsx'
import { RunChat } from './run-chat.tsx'
import { RunTimeline } from './run-timeline.tsx'
import { firstStep, graphOf, hasEnded, named, runState, waterfallOf, type PlanShape } from './run-words.ts'
import { StepDock } from './step-dock.tsx'

const TABS = ['steps', 'timeline', 'data', 'chat'] as const
const WORDS = { steps: 'Steps', timeline: 'Timeline', data: 'Input and output', chat: 'Chat' }

/** One run: where it stands, why, what each step did, and again from here. */
export function RunPage() {
  const { id = '' } = useParams({ strict: false }) as { id?: string }
  const run = useRun(id)
  const plan = usePlan(run.data?.workflow_id, run.data?.revision)
  usePageName(
    { label: 'Workflows', to: '/workflows' },
    ...(run.data ? [{ label: run.data.workflow_id, to: `/workflows/${run.data.workflow_id}`, mono: true }] : []),
    { label: `Run ${id.slice(-6)}`, mono: true },
  )
  // What joins the steps is awaited: without it they would be placed twice.
  if (run.isPending || (run.data && plan.isLoading)) return <SkeletonRows rows={12} />
  if (!run.data) {
    return (
      <>
        <h1 className="sr-only">Run {id}</h1>
        <FailureView error={run.error} what="the run" onRetry={() => void run.refetch()} />
      </>
    )
  }
  return (
    <>
      {run.isError && (
        <StaleLine since={run.dataUpdatedAt} why="The run could not be read anew." onRetry={() => void run.refetch()} />
      )}
      <RunView run={run.data} plan={plan.data ?? planOfSteps(run.data)} />
    </>
  )
}

/** Of a run whose definition is gone: its steps, without what joined them. */
function planOfSteps(run: WorkflowRun): PlanShape {
  const ids = Object.keys(run.steps ?? {}).filter((key) => !key.includes('['))
  return { nodes: ids.map((id) => ({ id, name: id, kind: 'job', layer: 0, each: false, loop: false })), edges: [] }
}

function RunView(props: { run: WorkflowRun; plan: PlanShape }) {
  const { run, plan } = props
  const [url, setUrl] = useUrlState()
  const [rerunFrom, setRerunFrom] = useState<string | true>()
  const now = useNow()
  const tab = TABS.find((each) => each === url['tab']) ?? 'steps'
  const graph = useMemo(() => graphOf(plan, run, now), [plan, run, now])
  const rows = useMemo(() => waterfallOf(plan, run, now), [plan, run, now])
  const first = useMemo(() => firstStep(plan, run), [plan, run])
  const selected = url['step'] ?? first
  const choose = (step: string) => setUrl({ step })
  const { status, word } = runState(run.status)
  const from = instant(run.started_at)
  const to = instant(run.completed_at)
  return (
    <Page>
      <ObjectHeader
        status={status}
        name={
          <>
            <Link to="/workflows/$id" params={{ id: run.workflow_id }} className="hover:underline">
              {run.workflow_id}
            </Link>{' '}
            <span className="font-text text-ink-3">run {run.id.slice(-6)}</span>
          </>
        }
        pill={
          <StatusPill status={status}>
            {run.dry_run ? 'Dry run' : word}
            {!run.dry_run && from !== undefined && (
              <> {hasEnded(run.status) ? `in ${span((to ?? from) - from)}` : `for ${span(now - from)}`}</>
            )}
          </StatusPill>
        }
        verbs={<Verbs run={run} onRerun={() => setRerunFrom(true)} />}
        facts={
          <FactsLine
            facts={[
              run.triggered_by !== '' && { name: 'started by', value: run.triggered_by },
              { name: 'started', value: <Age at={from} suffix=" ago" /> },
              run.revision !== undefined && {
                name: 'definition',
                value: `${run.workflow_id}@${run.revision}`,
                mono: true,
              },
              run.rerun_of !== undefined && {
                name: 'again of',
                value: <RunLink id={run.rerun_of} />,
              },
              run.rerun_step !== undefined && { name: 'from', value: run.rerun_step, mono: true },
              run.parent_run_id !== undefined && { name: 'step of', value: <RunLink id={run.parent_run_id} /> },
              { name: 'trace', value: run.id, mono: true },
            ]}
          />
        }
      >
        <Tabs
          id="run"
          label="Parts of the run"
          keys
          className="-mx-4 border-b-0 px-[7px] wide:-ml-5 wide:px-[11px]"
          value={tab}
          onChange={(next) => setUrl({ tab: next === 'steps' ? undefined : next }, true)}
          tabs={TABS.map((value) => ({ value, label: WORDS[value] }))}
        />
      </ObjectHeader>
      <RunBanner run={run} plan={plan} onChoose={choose} />
      <div
        {...tabPanel('run', tab)}
        className="flex min-h-0 flex-1 flex-col overflow-y-auto focus-visible:-outline-offset-2"
      >
        {tab === 'steps' && run.dry_run ? (
          <DryRunPlan run={run} plan={plan} />
        ) : tab === 'steps' ? (
          <>
            <Graph
              label="Steps of the run"
              nodes={graph.nodes}
              edges={graph.edges}
              selected={selected}
              onSelect={choose}
              className="h-[230px] flex-none border-b border-line-1"
            />
            <div className="grid min-h-0 flex-1 roomy:grid-cols-[minmax(0,1fr)_minmax(360px,38%)]">
              <div className="min-w-0 roomy:overflow-y-auto">
                <Waterfall label="Steps" rows={rows} now={now} selected={selected} onSelect={choose} />
              </div>
              <StepDock run={run} plan={plan} step={selected} onRerun={(step) => setRerunFrom(step)} />
            </div>
          </>
        ) : null}
        {tab === 'timeline' && <RunTimeline run={run} plan={plan} />}
        {tab === 'data' && (
          <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-4 p-4 wide:p-5 roomy:grid-cols-2">
            <JsonView label="Input" title="Input" value={run.input} maxHeight={560} />
            {run.error || hasEnded(run.status) ? (
              <JsonView
                label="Output"
                title={run.error ? 'Error' : 'Output'}
                value={run.error ?? run.output}
                maxHeight={560}
              />
            ) : (
              <Note status="off">Its output stands here when the run has ended.</Note>
            )}
            <JsonView label="Context" title="What expressions see" value={run.context} maxHeight={560} />
            <JsonView
              label="Labels"
              title="Labels and metadata"
              value={{ labels: run.labels, metadata: run.metadata }}
            />
          </div>
        )}
        {tab === 'chat' && <RunChat run={run} />}
      </div>
      {rerunFrom !== undefined && (
        <Rerun
          run={run}
          plan={plan}
          from={rerunFrom === true ? undefined : rerunFrom}
          onClose={() => setRerunFrom(undefined)}
        />
      )}
    </Page>
  )
}

function RunLink(props: { id: string }) {
  return (
    <Link to="/runs/$id" params={{ id: props.id }} className="mono underline-offset-3 hover:underline">
      {props.id.slice(-6)}
    </Link>
  )
}

/** What it waits for and what clears it, or why it failed. */
function RunBanner(props: { run: WorkflowRun; plan: PlanShape; onChoose: (step: string) => void }) {
  const { run } = props
  const waits = run.status === 'waiting' || run.status === 'running'
  const why = useWhyRun(run.id, waits)
  if (run.status === 'cancelled') {
    return (
      <Banner edge status="off" title="The run was cancelled">
        What its steps had done by then stays. Rerun goes on from any step.
      </Banner>
    )
  }
  if (run.error) {
    const { message, step_id: step } = run.error as { message?: string; step_id?: string }
    return (
      <Banner
        edge
        status="failed"
        title={run.status === 'timed_out' ? 'The run took too long' : 'The run failed'}
        acts={step === undefined ? undefined : <Button onClick={() => props.onChoose(step)}>Show the step</Button>}
      >
        {message}
      </Banner>
    )
  }
  if (run.status !== 'waiting' || !why.data) return null
  return (
    <Banner edge status="waiting" title={named(sentence(why.data.summary), props.plan)}>
      {whyLines(why.data).map((line) => (
        <p key={line}>{named(line, props.plan)}</p>
      ))}
    </Banner>
  )
}

function Verbs(props: { run: WorkflowRun; onRerun: () => void }) {
  const { run } = props
  const refusal = useRefusal()
  const navigate = useNavigate()
  const cancel = useCancelRun(run)
  const off =
    refusal('jobs', 'POST', '/api/v1/workflows/{id}/runs/{run_id}/cancel') ??
    (hasEnded(run.status) ? 'It has ended.' : undefined)
  return (
    <>
      <Button
        icon={GitCompare}
        onClick={() => void navigate({ to: '/runs/$id/compare', params: { id: run.id }, search: {} })}
      >
        Compare
      </Button>
      <Button icon={RotateCw} off={refusal('jobs', 'POST', '/api/v1/workflow-runs/{id}/rerun')} onClick={props.onRerun}>
        Rerun
      </Button>
      <ActButton
        button={
          <Button icon={Square} tone="danger" off={off}>
            Cancel run
          </Button>
        }
        off={off}
        label="Cancel the run"
        verb="Cancel it"
        reach="one"
        consequences={{
          reach: { level: 1, words: <b>1 run</b>, more: 'the jobs of its steps are told to stop' },
          undo: { level: 2, words: 'rerun it from a step' },
          cost: { level: 0, words: 'none' },
          data: { level: 2, words: 'what its steps have done stays' },
        }}
        run={() => cancel.mutateAsync()}
        onDone={() => toast({ status: 'off', title: 'Cancelled', text: run.id })}
        failed="Could not cancel"
      />
    </>
  )
}
