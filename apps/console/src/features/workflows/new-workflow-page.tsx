import { usePageName } from '../../app/crumbs.ts'
import { Page, PageHeader } from '../../ui/page.tsx'
import { FIRST_DEFINITION } from './definition-text.ts'
import { WorkflowEditor } from './workflow-editor.tsx'

/** The first form of a workflow: something small that runs as it stands. */
export function NewWorkflowPage() {
  usePageName({ label: 'Workflows', to: '/workflows' }, { label: 'New' })
  return (
    <Page>
      <PageHeader title="New workflow" />
      <WorkflowEditor text={FIRST_DEFINITION} />
    </Page>
  )
}
