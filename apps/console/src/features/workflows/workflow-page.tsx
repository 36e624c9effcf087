import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { History, Play, SquarePen, Trash2 } from 'lucide-react'
import { lazy, Suspense, useMemo } from 'react'
import {
  useDeleteWorkflow,
  usePlan,
  useRuns,
  useVersion,
  useVersions,
  useWorkflow,
  type WorkflowDefinition,
} from '../../api/workflows.ts'
import { ActButton } from '../../app/act-button.tsx'
import { useRefusal } from '../../app/allowed.ts'
import { usePageName } from '../../app/crumbs.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { count, instant, span } from '../../ui/age.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { Graph } from '../../ui/graph.tsx'
import { FactsLine, ObjectHeader, Page } from '../../ui/page.tsx'
import { EmptyState, SkeletonRows } from '../../ui/states.tsx'
import { Tabs, tabPanel } from '../../ui/tabs.tsx'
import { Age, At } from '../../ui/time.tsx'
import { toast } from '../../ui/toast.tsx'
import { RunsTable } from './runs-table.tsx'
import { graphOf } from './run-words.ts'
import { StartRun } from './start-run.tsx'

// What reads and writes YAML comes when a definition is looked at.
const DefinitionView = lazy(() =>
  import('./definition-view.tsx').then((module) => ({ default: module.DefinitionView })),
)
const DefinitionEditor = lazy(() =>
  import('./definition-view.tsx').then((module) => ({ default: module.DefinitionEditor })),
)

const TABS = ['runs', 'definition', 'versions'] as const
const WORDS = { runs: 'Runs', definition: 'Definition', versions: 'Versions' }

/** One workflow: its graph, how its runs went, what it says, what it said before. */
export function WorkflowPage() {
  const { id = '' } = useParams({ strict: false }) as { id?: string }
  const workflow = useWorkflow(id)
  usePageName({ label: 'Workflows', to: '/workflows' }, { label: workflow.data?.name || id })
  if (workflow.isPending) return <SkeletonRows rows={10} />
  if (!workflow.data) {
    return (
      <>
        <h1 className="sr-only">Workflow {id}</h1>
        <FailureView error={workflow.error} what="the workflow" onRetry={() => void workflow.refetch()} />
      </>
    )
  }
  return <WorkflowView workflow={workflow.data} />
}

function WorkflowView(props: { workflow: WorkflowDefinition }) {
  const { workflow } = props
  const [url, setUrl] = useUrlState()
  const tab = TABS.find((each) => each === url['tab']) ?? 'runs'
  const editing = url['edit'] === '1'
  const starting = url['start'] === '1'
  const setStarting = (on: boolean) => setUrl({ start: on ? '1' : undefined })
  const plan = usePlan(workflow.id)
  const graph = useMemo(() => plan.data && graphOf(plan.data, undefined, 0), [plan.data])
  const runs = useRuns({ workflow_id: workflow.id })
  const refusal = useRefusal()
  const latest = runs.data?.pages[0]?.items[0]
  if (editing) {
    return (
      <Page>
        <ObjectHeader status="unknown" name={workflow.name || workflow.id} facts={<Facts workflow={workflow} />} />
        <Suspense fallback={<SkeletonRows rows={8} />}>
          <DefinitionEditor workflow={workflow} onLeave={() => setUrl({ edit: undefined })} />
        </Suspense>
      </Page>
    )
  }
  return (
    <Page>
      <ObjectHeader
        status={latest?.status === 'running' ? 'running' : latest?.status === 'waiting' ? 'waiting' : 'off'}
        name={workflow.name || workflow.id}
        verbs={
          <>
            <Button
              icon={SquarePen}
              off={refusal('jobs', 'POST', '/api/v1/workflows')}
              onClick={() => setUrl({ edit: '1' }, true)}
            >
              Edit
            </Button>
            <Remove workflow={workflow} />
            <Button
              icon={Play}
              tone="primary"
              hotkey="e"
              off={refusal('jobs', 'POST', '/api/v1/workflows/{id}/runs')}
              onClick={() => setStarting(true)}
            >
              Run
            </Button>
          </>
        }
        facts={<Facts workflow={workflow} />}
      />
      {workflow.description !== '' && <p className="px-4 pt-3 text-s2 text-ink-2 wide:px-5">{workflow.description}</p>}
      <Graph
        label="Steps of the workflow"
        nodes={graph?.nodes ?? []}
        edges={graph?.edges ?? []}
        className="mt-3 h-[210px] flex-none border-y border-line-1"
      />
      <Tabs
        id="workflow"
        label="Parts of the workflow"
        keys
        className="px-[7px] wide:px-[11px]"
        value={tab}
        onChange={(next) => setUrl({ tab: next === 'runs' ? undefined : next }, true)}
        tabs={TABS.map((value) => ({ value, label: WORDS[value] }))}
      />
      <div
        {...tabPanel('workflow', tab)}
        className="flex min-h-0 flex-1 flex-col overflow-y-auto focus-visible:-outline-offset-2"
      >
        {tab === 'runs' && <RunsTable runs={runs} named={false} />}
        {tab === 'definition' && (
          <Suspense fallback={<SkeletonRows rows={8} />}>
            <DefinitionView label="Definition" workflow={workflow} className="m-4 min-h-[320px] flex-1" />
          </Suspense>
        )}
        {tab === 'versions' && <Versions workflow={workflow} />}
      </div>
      {starting && <StartRun workflow={workflow} onClose={() => setStarting(false)} />}
    </Page>
  )
}

function Facts(props: { workflow: WorkflowDefinition }) {
  const { workflow } = props
  return (
    <FactsLine
      facts={[
        { name: 'id', value: workflow.id, mono: true },
        workflow.version !== '' && { name: 'version', value: workflow.version, mono: true },
        { name: 'revision', value: workflow.revision },
        { name: 'steps', value: count(Object.keys(workflow.steps).length) },
        workflow.created_by !== '' && { name: 'made by', value: workflow.created_by },
        { name: 'saved', value: <Age at={instant(workflow.updated_at)} suffix=" ago" /> },
        workflow.timeout_sec > 0 && { name: 'at most', value: span(workflow.timeout_sec * 1000) },
      ]}
    />
  )
}

function Remove(props: { workflow: WorkflowDefinition }) {
  const { workflow } = props
  const remove = useDeleteWorkflow(workflow.id)
  const refusal = useRefusal()
  const navigate = useNavigate()
  const off = refusal('jobs', 'DELETE', '/api/v1/workflows/{id}')
  return (
    <ActButton
      button={<IconButton icon={Trash2} label="Remove the workflow" edged disabled={Boolean(off)} />}
      off={off}
      label="Remove the workflow"
      verb="Remove it"
      reach="one"
      typeName={workflow.id}
      consequences={{
        reach: { level: 1, words: <b>1 workflow</b>, more: 'its runs stay and go on' },
        undo: { level: 2, words: 'save it again' },
        cost: { level: 0, words: 'none' },
        data: { level: 1, words: 'its versions go with it' },
      }}
      run={() => remove.mutateAsync()}
      onDone={() => {
        toast({ status: 'off', title: 'Removed', text: workflow.id })
        return navigate({ to: '/workflows' })
      }}
      failed="Not removed"
    />
  )
}

function Versions(props: { workflow: WorkflowDefinition }) {
  const { workflow } = props
  const [url, setUrl] = useUrlState()
  const versions = useVersions(workflow.id)
  const chosen = url['revision'] === undefined ? undefined : Number(url['revision'])
  const version = useVersion(workflow.id, chosen)
  if (versions.isPending) return <SkeletonRows rows={6} />
  if (!versions.data)
    return <FailureView error={versions.error} what="the versions" onRetry={() => void versions.refetch()} />
  if (versions.data.items.length === 0) return <EmptyState icon={History} title="No versions" />
  return (
    <div className="grid min-h-0 flex-1 gap-3 p-4 roomy:grid-cols-[300px_minmax(0,1fr)]">
      <ul aria-label="Versions" className="rounded-r2 border border-line-1 text-s2">
        {versions.data.items.map((each) => (
          <li key={each.revision} className="border-b border-line-1 last:border-b-0">
            <button
              type="button"
              aria-pressed={each.revision === chosen}
              onClick={() => setUrl({ revision: String(each.revision) })}
              className="flex w-full items-center gap-2.5 px-3 py-2 text-left hover:bg-hover aria-pressed:bg-selected"
            >
              <span className="num font-medium text-ink">r{each.revision}</span>
              <span className="truncate text-ink-2">{each.savedBy}</span>
              <At at={each.savedAt} className="ml-auto text-ink-3" />
            </button>
          </li>
        ))}
      </ul>
      {chosen === undefined ? (
        <p className="p-3 text-s2 text-ink-3">
          A run keeps the version that it began with. Choose one to read it, or{' '}
          <Link to="/workflows/$id" params={{ id: workflow.id }} search={{}} className="underline">
            go back to the runs
          </Link>
          .
        </p>
      ) : (
        <Suspense fallback={<SkeletonRows rows={8} />}>
          <DefinitionView label={`Definition, revision ${chosen}`} workflow={version.data} className="min-h-[320px]" />
        </Suspense>
      )}
    </div>
  )
}
