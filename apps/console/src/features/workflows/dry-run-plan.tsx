import type { WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { Banner } from '../../ui/banner.tsx'
import { JsonView } from '../../ui/code-block.tsx'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { useState } from 'react'
import { decisionState } from '../jobs/job-state.ts'
import { kindWords } from './kind-words.ts'
import type { PlanShape } from './run-words.ts'

interface PlannedStep {
  id: string
  type: string
  layer: number
  runs: 'yes' | 'no' | 'unknown'
  topic?: string
  input?: unknown
  unknown?: string[]
  decision?: 'ALLOW' | 'DENY' | 'REQUIRE_APPROVAL' | 'THROTTLE' | 'ALLOW_WITH_CONSTRAINTS'
  rule_id?: string
  reason?: string
}

const RUNS = { yes: 'runs', no: 'does not run', unknown: 'depends on outputs' }
const rowId = (step: PlannedStep) => step.id

const COLUMNS: readonly Column<PlannedStep>[] = [
  {
    id: 'step',
    head: 'Step',
    narrow: 'name',
    cell: (step) => (
      <span className="flex min-w-0 items-center gap-2">
        <StatusShape
          status={step.runs === 'yes' ? 'ok' : step.runs === 'no' ? 'off' : 'unknown'}
          size={14}
          label={RUNS[step.runs]}
        />
        <span className="truncate font-medium text-ink">{step.id}</span>
        <span className="truncate text-ink-3">{RUNS[step.runs]}</span>
      </span>
    ),
  },
  { id: 'kind', head: 'Kind', width: 150, from: 700, cell: (step) => kindWords(step.type) },
  {
    id: 'decision',
    head: 'Policy, rule',
    width: 280,
    narrow: 'place',
    cell: (step) => {
      if (step.decision === undefined) return <span className="text-ink-3">not asked</span>
      const { status, word } = decisionState(step.decision)
      return (
        <span className="flex min-w-0 items-center gap-1.5" title={step.reason}>
          <StatusShape status={status} size={12} />
          <span className="truncate">
            {word} <span className="mono text-ink-3">{step.rule_id}</span>
          </span>
        </span>
      )
    },
  },
  {
    id: 'topic',
    head: 'Topic',
    width: 220,
    from: 960,
    cell: (step) => <span className="mono truncate">{step.topic ?? '–'}</span>,
  },
]

/** What a run would do: nothing was done, policy was asked about every job. */
export function DryRunPlan(props: { run: WorkflowRun; plan: PlanShape }) {
  const [shown, setShown] = useState<PlannedStep>()
  const steps = ((props.run.output as { steps?: PlannedStep[] } | null)?.steps ?? []).toSorted(
    (a, b) => a.layer - b.layer,
  )
  const denied = steps.filter(({ decision }) => decision === 'DENY').length
  const held = steps.filter(({ decision }) => decision === 'REQUIRE_APPROVAL').length
  return (
    <>
      <Banner
        edge
        status={denied > 0 ? 'denied' : held > 0 ? 'waiting' : 'ok'}
        title={
          denied > 0
            ? `Policy would deny ${denied} of ${steps.length} steps`
            : held > 0
              ? `${held} of ${steps.length} steps would wait for approval`
              : 'Policy would allow every step'
        }
      >
        This was a dry run: nothing was done. Values that only a real run gives are shown as unknown.
      </Banner>
      <DataTable
        label="Plan"
        rows={steps}
        rowId={rowId}
        columns={COLUMNS}
        serverSorted
        onOpen={setShown}
        empty={null}
      />
      {shown && (
        <div className="flex-none border-t border-line-1 p-4">
          <JsonView
            label={`Input of ${shown.id}`}
            title={`Input of ${shown.id}`}
            value={shown.input ?? { unknown: shown.unknown }}
            maxHeight={260}
          />
        </div>
      )}
    </>
  )
}
