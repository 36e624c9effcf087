import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { failureOf } from '../../api/failure.ts'
import { useStartRun, type WorkflowDefinition } from '../../api/workflows.ts'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/overlay.tsx'
import { InputForm } from './input-form.tsx'
import { readInput, sampleInput } from './run-input.ts'

/** Starts a run, or shows what one would do without doing it. */
export function StartRun(props: {
  workflow: WorkflowDefinition
  open: boolean
  onOpenChange: (open: boolean) => void
}) {
  const { workflow } = props
  const [text, setText] = useState(() => JSON.stringify(sampleInput(workflow.input_schema), null, 2))
  const [refused, setRefused] = useState<string>()
  const start = useStartRun(workflow.id)
  const navigate = useNavigate()
  const input = readInput(text)
  const go = (dryRun: boolean) => {
    if (!input.value) return
    setRefused(undefined)
    void start.mutateAsync({ input: input.value, dryRun }).then(
      ({ run_id }) => navigate({ to: '/runs/$id', params: { id: run_id } }),
      (error: unknown) => setRefused(failureOf(error).message),
    )
  }
  return (
    <Dialog
      open={props.open}
      onOpenChange={props.onOpenChange}
      title={`Run ${workflow.name || workflow.id}`}
      description="Policy decides on every step when its turn comes. A dry run asks it now, and does nothing."
      width={640}
      footer={
        <>
          <Button off={input.problem} busy={start.isPending} onClick={() => go(true)}>
            Dry run
          </Button>
          <Button tone="primary" off={input.problem} busy={start.isPending} onClick={() => go(false)}>
            Run
          </Button>
        </>
      }
    >
      <InputForm label="Input" schema={workflow.input_schema} text={text} onChange={setText} problem={input.problem} />
      {refused && (
        <Note status="failed" className="mt-3">
          {refused} Nothing was started.
        </Note>
      )}
    </Dialog>
  )
}
