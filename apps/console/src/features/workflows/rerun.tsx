import type { WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { useState } from 'react'
import { useRerun, useWorkflow } from '../../api/workflows.ts'
import { Field, Select } from '../../ui/form.tsx'
import type { PlanShape } from './run-words.ts'
import { StartDialog } from './start-dialog.tsx'

const ALL = '*'

/** The run again: whole, or from one step on with what the steps before it gave; its input may be changed first. */
export function Rerun(props: { run: WorkflowRun; plan: PlanShape; from: string | undefined; onClose: () => void }) {
  const { run, plan, onClose } = props
  const [from, setFrom] = useState(props.from ?? ALL)
  const rerun = useRerun(run.id)
  // The schema of the newest version draws the form; the one that the run began with judges what is given.
  const workflow = useWorkflow(run.workflow_id)
  return (
    <StartDialog
      title="Rerun"
      description="A new run of the same version. Steps before the chosen one are not done again: their outputs are taken over. With another input, people are asked again."
      verb="Rerun"
      schema={workflow.data?.input_schema}
      given={run.input ?? {}}
      inputClass="h-56"
      busy={rerun.isPending}
      start={async ({ input, changed, dryRun }) => {
        const started = await rerun.mutateAsync({
          ...(from === ALL ? {} : { from_step: from }),
          ...(dryRun ? { dry_run: true } : {}),
          ...(changed ? { input } : {}),
        })
        onClose()
        return started
      }}
      onClose={onClose}
    >
      <Field label="From" className="mb-3">
        {(shape) => (
          <Select
            label="From"
            shape={shape}
            value={from}
            onChange={setFrom}
            options={[
              { value: ALL, label: 'The beginning' },
              ...plan.nodes.map(({ id, name }) => ({ value: id, label: name, ...(name === id ? {} : { hint: id }) })),
            ]}
          />
        )}
      </Field>
    </StartDialog>
  )
}
