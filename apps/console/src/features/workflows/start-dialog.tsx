import { useNavigate } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { failureOf } from '../../api/failure.ts'
import { Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/overlay.tsx'
import { InputForm } from './input-form.tsx'
import { readInput } from './run-input.ts'

/** Asks for the input of a run and begins it, dry or in earnest; goes to the run that began, or says why none did. */
export function StartDialog(props: {
  title: string
  description: string
  /** The button that begins it in earnest. */
  verb: string
  schema: unknown
  /** The input to begin with. */
  given: unknown
  busy: boolean
  start: (given: { input: Record<string, unknown>; changed: boolean; dryRun: boolean }) => Promise<{ run_id: string }>
  onClose: () => void
  /** What is asked before the input. */
  children?: ReactNode
  inputClass?: string
}) {
  const given = JSON.stringify(props.given, null, 2)
  const [text, setText] = useState(given)
  const [refused, setRefused] = useState<string>()
  const navigate = useNavigate()
  const { value: input, problem } = readInput(text)
  const go = (dryRun: boolean) => {
    if (!input) return
    setRefused(undefined)
    void props.start({ input, changed: text !== given, dryRun }).then(
      ({ run_id }) => navigate({ to: '/runs/$id', params: { id: run_id }, search: {} }),
      (error: unknown) => setRefused(failureOf(error).message),
    )
  }
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && props.onClose()}
      title={props.title}
      description={props.description}
      width={640}
      footer={
        <>
          <Button off={problem} busy={props.busy} onClick={() => go(true)}>
            Dry run
          </Button>
          <Button tone="primary" off={problem} busy={props.busy} onClick={() => go(false)}>
            {props.verb}
          </Button>
        </>
      }
    >
      {props.children}
      <InputForm
        label="Input"
        schema={props.schema}
        text={text}
        onChange={setText}
        problem={problem}
        className={props.inputClass}
      />
      {refused && (
        <Note status="failed" className="mt-3">
          {refused} Nothing was started.
        </Note>
      )}
    </Dialog>
  )
}
