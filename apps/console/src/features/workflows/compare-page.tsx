import { Link, useParams } from '@tanstack/react-router'
import type { StepRun, WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { useMemo } from 'react'
import { useRun, useRuns } from '../../api/workflows.ts'
import { usePageName } from '../../app/crumbs.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { instant, span, stamp } from '../../ui/age.ts'
import { JsonView } from '../../ui/code-block.tsx'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { FittedTable } from '../../ui/fitted-table.tsx'
import { Select } from '../../ui/form.tsx'
import { Page, PageHeader, Section } from '../../ui/page.tsx'
import { SkeletonRows } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { type Pair, pairsOf } from './run-difference.ts'
import { runState, stepState } from './run-words.ts'

const rowId = (pair: Pair) => pair.key
/** Two parts side by side, without the lines of parts under each other. */
const FLUSH = 'min-w-0 border-b-0! px-0! py-0!'

/** Two runs of one workflow, step by step: what differs stands out. */
export function ComparePage() {
  const { id = '' } = useParams({ strict: false }) as { id?: string }
  const [url, setUrl] = useUrlState()
  const left = useRun(id)
  const others = useRuns(left.data ? { workflow_id: left.data.workflow_id } : {})
  const choices = (others.data?.pages ?? []).flatMap((page) => page.items).filter((run) => run.id !== id)
  const chosen = url['with'] ?? left.data?.rerun_of ?? choices[0]?.id
  const right = useRun(chosen)
  usePageName(
    { label: 'Workflows', to: '/workflows' },
    { label: `Run ${id.slice(-6)}`, to: `/runs/${id}`, mono: true },
    { label: 'Compare' },
  )
  const pairs = useMemo(() => (left.data && right.data ? pairsOf(left.data, right.data) : []), [left.data, right.data])
  const columns = useMemo(() => columnsOf(left.data, right.data), [left.data, right.data])
  const step = pairs.find(({ key }) => key === url['step'])
  if (left.isPending) return <SkeletonRows rows={8} />
  if (!left.data) {
    return (
      <>
        <h1 className="sr-only">Compare</h1>
        <FailureView error={left.error} what="the run" onRetry={() => void left.refetch()} />
      </>
    )
  }
  return (
    <Page scroll>
      <PageHeader title="Compare">
        <Link to="/runs/$id" params={{ id }} className="mono hover:underline">
          run {id.slice(-6)}
        </Link>
        <span className="text-ink-3">with</span>
        <Select
          label="The other run"
          value={chosen ?? ''}
          placeholder="No other run"
          onChange={(next) => setUrl({ with: next })}
          options={choices.map((run) => ({
            value: run.id,
            label: `run ${run.id.slice(-6)}`,
            hint: `${runState(run.status).word}, ${stamp(instant(run.created_at) ?? 0)}`,
          }))}
        />
        <span className="ml-auto text-s2 text-ink-2">
          {pairs.filter(({ differs }) => differs.length > 0).length} of {pairs.length} steps differ
        </span>
      </PageHeader>
      <FittedTable rows={pairs.length}>
        <DataTable
          label="Steps of both runs"
          rows={pairs}
          rowId={rowId}
          columns={columns}
          serverSorted
          onOpen={({ key }) => setUrl({ step: key })}
          empty={<p className="p-5 text-s2 text-ink-3">There is no other run of this workflow to compare with.</p>}
        />
      </FittedTable>
      {right.data && (
        <div className="grid grid-cols-[minmax(0,1fr)] gap-4 p-4 wide:grid-cols-2 wide:p-5">
          <Section className={FLUSH} title={step ? `${step.key}, this run` : 'Input, this run'}>
            <JsonView label="This run" value={step ? shownOf(step.left) : left.data.input} maxHeight={360} />
          </Section>
          <Section className={FLUSH} title={step ? `${step.key}, the other` : 'Input, the other'}>
            <JsonView label="The other run" value={step ? shownOf(step.right) : right.data.input} maxHeight={360} />
          </Section>
        </div>
      )}
    </Page>
  )
}

const shownOf = (step: StepRun | undefined) =>
  step ? { status: step.status, input: step.input, output: step.output, error: step.error } : null

function columnsOf(left: WorkflowRun | undefined, right: WorkflowRun | undefined): readonly Column<Pair>[] {
  const side = (id: 'left' | 'right', run: WorkflowRun | undefined): Column<Pair> => ({
    id,
    head: run ? `run ${run.id.slice(-6)}` : '',
    width: 240,
    narrow: id === 'left' ? 'place' : 'end',
    from: id === 'left' ? 0 : 560,
    cell: (pair) => {
      const step = pair[id]
      const { status, word } = stepState(step)
      return (
        <span className="flex items-center gap-1.5">
          <StatusShape status={status} size={12} />
          <span className="truncate">{word}</span>
          <span className="num text-ink-3">{durationOf(step)}</span>
        </span>
      )
    },
  })
  return [
    {
      id: 'step',
      head: 'Step',
      narrow: 'name',
      cell: ({ key, differs }) => (
        <span className="flex min-w-0 items-center gap-2">
          <StatusShape
            status={differs.length > 0 ? 'warning' : 'off'}
            size={12}
            label={differs.length > 0 ? 'differs' : 'equal'}
          />
          <span className="truncate font-medium text-ink">{key}</span>
          <span className="truncate text-ink-3">{differs.join(', ')}</span>
        </span>
      ),
    },
    side('left', left),
    side('right', right),
  ]
}

function durationOf(step: StepRun | undefined): string {
  const from = instant(step?.started_at)
  const to = instant(step?.completed_at)
  return from === undefined || to === undefined ? '' : span(to - from)
}
