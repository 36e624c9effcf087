import { useNavigate } from '@tanstack/react-router'
import type { WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { useState } from 'react'
import { failureOf } from '../../api/failure.ts'
import { useRerun, useWorkflow } from '../../api/workflows.ts'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { Field, Select } from '../../ui/form.tsx'
import { Dialog } from '../../ui/overlay.tsx'
import { InputForm } from './input-form.tsx'
import { readInput } from './run-input.ts'
import type { PlanShape } from './run-words.ts'

const ALL = '*'

/** The run again: whole, or from one step on with what the steps before it gave; its input may be changed first. */
export function Rerun(props: { run: WorkflowRun; plan: PlanShape; from: string | undefined; onClose: () => void }) {
  const { run, plan } = props
  const given = JSON.stringify(run.input ?? {}, null, 2)
  const [text, setText] = useState(given)
  const [from, setFrom] = useState(props.from ?? ALL)
  const [refused, setRefused] = useState<string>()
  const rerun = useRerun(run.id)
  // The schema of the newest version draws the form; the one that the run began with judges what is given.
  const workflow = useWorkflow(run.workflow_id)
  const navigate = useNavigate()
  const input = readInput(text)
  const go = (dryRun: boolean) => {
    setRefused(undefined)
    void rerun
      .mutateAsync({
        ...(from === ALL ? {} : { from_step: from }),
        ...(dryRun ? { dry_run: true } : {}),
        ...(text === given || !input.value ? {} : { input: input.value }),
      })
      .then(
        ({ run_id }) => {
          props.onClose()
          return navigate({ to: '/runs/$id', params: { id: run_id }, search: {} })
        },
        (error: unknown) => setRefused(failureOf(error).message),
      )
  }
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && props.onClose()}
      title="Rerun"
      description="A new run of the same version. Steps before the chosen one are not done again: their outputs are taken over. With another input, people are asked again."
      width={640}
      footer={
        <>
          <Button off={input.problem} busy={rerun.isPending} onClick={() => go(true)}>
            Dry run
          </Button>
          <Button tone="primary" off={input.problem} busy={rerun.isPending} onClick={() => go(false)}>
            Rerun
          </Button>
        </>
      }
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
      <InputForm
        label="Input"
        schema={workflow.data?.input_schema}
        text={text}
        onChange={setText}
        problem={input.problem}
        className="h-56"
      />
      {refused && (
        <Note status="failed" className="mt-3">
          {refused} Nothing was started.
        </Note>
      )}
    </Dialog>
  )
}
