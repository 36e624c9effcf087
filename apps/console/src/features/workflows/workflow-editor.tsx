import { useNavigate } from '@tanstack/react-router'
import { Save } from 'lucide-react'
import { useDeferredValue, useMemo, useState } from 'react'
import { useSaveWorkflow, useValidation } from '../../api/workflows.ts'
import { useRefusal } from '../../app/allowed.ts'
import { failureToast } from '../../app/failure-toast.ts'
import { plural } from '../../ui/age.ts'
import { Button } from '../../ui/button.tsx'
import { CodeEditor, type CodeProblem } from '../../ui/code-editor.tsx'
import { Graph } from '../../ui/graph.tsx'
import { StatusText } from '../../ui/status.tsx'
import { toast } from '../../ui/toast.tsx'
import { useSettled } from '../../ui/use-settled.ts'
import { readDefinition } from './definition-text.ts'
import { graphOf } from './run-words.ts'

const PAUSE_MS = 400

/** The definition as text, its graph beside it; what is wrong stands at its line, and nothing wrong is saved. */
export function WorkflowEditor(props: { text: string; revision?: number; onLeave?: () => void }) {
  const [text, setText] = useState(props.text)
  const read = useMemo(() => readDefinition(text), [text])
  const settled = useSettled(read.definition, PAUSE_MS)
  const validation = useValidation(settled)
  const plan = useDeferredValue(validation.data?.plan ?? undefined)
  const save = useSaveWorkflow()
  const navigate = useNavigate()
  const refusal = useRefusal()
  const problems = useMemo(
    (): CodeProblem[] => [
      ...read.problems,
      ...(validation.data?.problems ?? []).map((problem): CodeProblem => ({
        ...read.lineOf(problem.path),
        message: `${problem.path === '' ? '' : `${problem.path}: `}${problem.message}`,
        severity: 'error',
      })),
    ],
    [read, validation.data],
  )
  const graph = useMemo(() => plan && graphOf(plan, undefined, 0), [plan])
  const changed = text !== props.text
  const checking = validation.isFetching || settled !== read.definition
  const off =
    refusal('jobs', 'POST', '/api/v1/workflows') ??
    (problems.length > 0 ? plural(problems.length, 'problem') : checking ? 'It is being checked.' : undefined) ??
    (changed || props.revision === undefined ? undefined : 'Nothing has changed.')

  const keep = () =>
    void save.mutateAsync(read.definition ?? {}).then(({ id }) => {
      toast({ status: 'ok', title: 'Saved', text: id })
      props.onLeave?.()
      return navigate({ to: '/workflows/$id', params: { id }, search: {} })
    }, failureToast('Not saved'))

  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div className="flex flex-none flex-wrap items-center gap-2.5 px-4 py-2.5 wide:px-5">
        <span aria-live="polite" className="text-s2">
          {problems.length > 0 ? (
            <StatusText status="failed">{plural(problems.length, 'problem')}</StatusText>
          ) : checking ? (
            <StatusText status="unknown">Being checked</StatusText>
          ) : (
            <StatusText status="ok">It can run</StatusText>
          )}
        </span>
        <span className="ml-auto flex gap-2">
          {props.onLeave && <Button onClick={props.onLeave}>{changed ? 'Discard' : 'Back'}</Button>}
          <Button icon={Save} tone="primary" off={off} busy={save.isPending} onClick={keep}>
            {props.revision === undefined ? 'Create' : 'Save'}
          </Button>
        </span>
      </div>
      <div className="grid min-h-0 flex-1 gap-3 px-4 pb-4 wide:px-5 roomy:grid-cols-[minmax(0,1fr)_minmax(0,1fr)]">
        <CodeEditor
          label="Definition"
          language="yaml"
          value={text}
          onChange={setText}
          problems={problems}
          className="min-h-[320px]"
        />
        <div className="flex min-h-[260px] flex-col gap-3">
          <Graph
            label="The workflow as it is written now"
            nodes={graph?.nodes ?? []}
            edges={graph?.edges ?? []}
            className="min-h-[220px] flex-1 rounded-r2 border border-line-1"
          />
          {problems.length > 0 && (
            <ul
              aria-label="Problems"
              className="max-h-48 flex-none overflow-y-auto rounded-r2 border border-line-1 text-s2"
            >
              {problems.map((problem, index) => (
                <li key={index} className="flex gap-2.5 border-b border-line-1 px-3 py-1.5 last:border-b-0">
                  <span className="num w-14 flex-none text-ink-3">line {problem.line ?? 1}</span>
                  <span className="min-w-0 [overflow-wrap:anywhere]">{problem.message}</span>
                </li>
              ))}
            </ul>
          )}
        </div>
      </div>
    </div>
  )
}
