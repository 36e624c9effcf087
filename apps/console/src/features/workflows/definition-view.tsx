import { CodeEditor } from '../../ui/code-editor.tsx'
import { writeDefinition } from './definition-text.ts'
import { WorkflowEditor } from './workflow-editor.tsx'

type Shown = Readonly<Record<string, unknown>>

/** A definition to read. */
export function DefinitionView(props: { label: string; workflow: Shown | undefined; className: string }) {
  return (
    <CodeEditor
      label={props.label}
      language="yaml"
      readOnly
      value={props.workflow ? writeDefinition(props.workflow) : ''}
      className={props.className}
    />
  )
}

/** A definition to change. */
export function DefinitionEditor(props: { workflow: Shown & { revision: number }; onLeave: () => void }) {
  return (
    <WorkflowEditor text={writeDefinition(props.workflow)} revision={props.workflow.revision} onLeave={props.onLeave} />
  )
}
