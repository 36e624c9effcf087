import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Navigate,
  type ErrorComponentProps,
  Outlet,
  useRouterState,
} from '@tanstack/react-router'
import { SearchX } from 'lucide-react'
import type { ReactNode } from 'react'
import { useSession } from '../api/session.ts'
import { keyWords } from '../ui/kbd.tsx'
import { EmptyState, ErrorState } from '../ui/states.tsx'
import { ToastRegion } from '../ui/toast.tsx'
import { TooltipProvider } from '../ui/tooltip.tsx'
import { usePageName } from './crumbs.ts'
import { FailureView } from './failure-view.tsx'
import { Shell } from './shell.tsx'
import { parsePlainSearch, stringifyPlainSearch } from './url-state.ts'

type PageLoader = () => Promise<() => ReactNode>

// Every page is a chunk of its own; pointing at a link begins to load it.
const page = (load: PageLoader) => lazyRouteComponent(async () => ({ default: await load() }))

const root = createRootRoute({
  component: () => (
    <TooltipProvider>
      <Outlet />
      <ToastRegion />
    </TooltipProvider>
  ),
})

const login = createRoute({
  getParentRoute: () => root,
  path: '/login',
  component: page(async () => (await import('../features/login/login-page.tsx')).LoginPage),
})

const frame = createRoute({ getParentRoute: () => root, id: 'frame', component: SignedIn, errorComponent: Broken })

const routes: readonly [path: string, load: PageLoader][] = [
  ['/', async () => (await import('../features/home/home-page.tsx')).HomePage],
  ['/inbox', async () => (await import('../features/inbox/inbox-page.tsx')).InboxPage],
  ['/activity', async () => (await import('../features/activity/activity-page.tsx')).ActivityPage],
  ['/fleet', async () => (await import('../features/fleet/fleet-page.tsx')).FleetPage],
  ['/fleet/$id', async () => (await import('../features/instance/instance-page.tsx')).InstancePage],
  ['/jobs', async () => (await import('../features/jobs/jobs-page.tsx')).JobsPage],
  ['/jobs/queues', async () => (await import('../features/jobs/queues-page.tsx')).QueuesPage],
  ['/jobs/workers', async () => (await import('../features/jobs/workers-page.tsx')).WorkersPage],
  ['/jobs/dead', async () => (await import('../features/jobs/dead-letters-page.tsx')).DeadLettersPage],
  ['/jobs/locks', async () => (await import('../features/jobs/locks-page.tsx')).LocksPage],
  ['/packs', async () => (await import('../features/packs/packs-page.tsx')).PacksPage],
  ['/jobs/$id', async () => (await import('../features/jobs/job-page.tsx')).JobPage],
  ['/workflows', async () => (await import('../features/workflows/workflows-page.tsx')).WorkflowsPage],
  ['/workflows/new', async () => (await import('../features/workflows/new-workflow-page.tsx')).NewWorkflowPage],
  ['/workflows/$id', async () => (await import('../features/workflows/workflow-page.tsx')).WorkflowPage],
  ['/runs/$id', async () => (await import('../features/workflows/run-page.tsx')).RunPage],
  ['/runs/$id/compare', async () => (await import('../features/workflows/compare-page.tsx')).ComparePage],
  ['/policy', async () => (await import('../features/policy/policy-page.tsx')).PolicyPage],
  ['/device', async () => (await import('../features/login/device-page.tsx')).DevicePage],
  ['/admin', async () => (await import('../features/admin/admin-page.tsx')).AdminPage],
]

const pages = [
  ...routes.map(([path, load]) =>
    createRoute({ getParentRoute: () => frame, path, component: page(load), errorComponent: Broken }),
  ),
  createRoute({ getParentRoute: () => frame, path: '$', component: NotFound }),
]

export const router = createRouter({
  routeTree: root.addChildren([login, frame.addChildren(pages)]),
  parseSearch: parsePlainSearch,
  stringifySearch: stringifyPlainSearch,
  defaultPreload: 'intent',
  defaultPendingMs: 200,
  scrollRestoration: false,
})

function SignedIn() {
  const session = useSession()
  const href = useRouterState({ select: (state) => state.location.href })
  if (session.isPending) return null
  if (session.isError) {
    return (
      <main className="p-6">
        <h1 className="sr-only">Wheelhouse</h1>
        <FailureView error={session.error} what="your session" onRetry={() => void session.refetch()} />
      </main>
    )
  }
  // While the sign-in page is on its way, this one stands with its address already: asking again would never end.
  if (!session.data && href.startsWith('/login')) return null
  if (!session.data) return <Navigate to="/login" search={href === '/' ? {} : { to: href }} replace />
  return <Shell session={session.data} />
}

function NotFound() {
  usePageName({ label: 'Not found' })
  return (
    <>
      <h1 className="sr-only">Not found</h1>
      <EmptyState icon={SearchX} title="There is no such page">
        The address may be mistyped, or the page may have moved. Search ({keyWords('mod+k')}) finds everything by its
        name.
      </EmptyState>
    </>
  )
}

// A page fails alone; the frame around it goes on.
function Broken(props: ErrorComponentProps) {
  return (
    <>
      <h1 className="sr-only">This page failed</h1>
      <ErrorState title="This page failed" onRetry={props.reset}>
        {props.error instanceof Error ? props.error.message : String(props.error)} Nothing was changed.
      </ErrorState>
    </>
  )
}
