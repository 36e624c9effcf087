import { useStartRun, type WorkflowDefinition } from '../../api/workflows.ts'
import { sampleInput } from './run-input.ts'
import { StartDialog } from './start-dialog.tsx'

/** Starts a run, or shows what one would do without doing it. */
export function StartRun(props: { workflow: WorkflowDefinition; onClose: () => void }) {
  const { workflow } = props
  const start = useStartRun(workflow.id)
  return (
    <StartDialog
      title={`Run ${workflow.name || workflow.id}`}
      description="Policy decides on every step when its turn comes. A dry run asks it now, and does nothing."
      verb="Run"
      schema={workflow.input_schema}
      given={sampleInput(workflow.input_schema)}
      busy={start.isPending}
      start={({ input, dryRun }) => start.mutateAsync({ input, dryRun })}
      onClose={props.onClose}
    />
  )
}
