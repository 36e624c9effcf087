import './ui/base.css'
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from '@tanstack/react-router'
import { StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { Frame } from './app/frame.tsx'
import { ControlsGallery } from './gallery/controls.tsx'
import { ObjectGallery } from './gallery/object.tsx'
import { OverlayGallery } from './gallery/overlays.tsx'
import { RunGallery } from './gallery/run.tsx'
import { StatesGallery } from './gallery/states.tsx'
import { TableGallery } from './gallery/table.tsx'
import { useKeys } from './ui/keys.tsx'
import { ToastRegion } from './ui/toast.tsx'
import { TooltipProvider } from './ui/tooltip.tsx'

// Every component of src/ui in every state, for the eye and for axe. Served in development alone; its data is invented and says so.
const PAGES = {
  states: { path: '/', title: 'States and words', show: StatesGallery },
  controls: { path: '/admin', title: 'Controls', show: ControlsGallery },
  table: { path: '/fleet', title: 'Table', show: TableGallery },
  object: { path: '/fleet', title: 'Object', show: ObjectGallery },
  run: { path: '/jobs', title: 'Run', show: RunGallery },
  overlays: { path: '/inbox', title: 'Overlays', show: OverlayGallery },
} as const

const wanted = new URLSearchParams(location.search).get('page') ?? 'states'
const name = wanted in PAGES ? (wanted as keyof typeof PAGES) : 'states'
const page = PAGES[name]

function Gallery() {
  const [, setSearch] = useState(false)
  useKeys([{ keys: 'mod+k', label: 'Search or run a command', group: 'Everywhere', run: () => setSearch(true) }])
  return (
    <TooltipProvider>
      <Frame
        tenant="Gallery"
        path={[{ label: 'Components' }, { label: page.title }]}
        user={{ name: 'Olga Oncall', roles: ['operator'] }}
        inbox={7}
        live={{ state: 'live', since: Date.now() - 2000, version: 'gallery' }}
        counts={{ '/fleet': { value: 418 }, '/inbox': { value: 7, waits: true } }}
        onSearch={() => {}}
        onKeys={() => {}}
        onSignOut={() => {}}
      >
        <page.show />
      </Frame>
      <ToastRegion />
    </TooltipProvider>
  )
}

const router = createRouter({
  routeTree: createRootRoute({ component: Gallery, notFoundComponent: () => null }),
  history: createMemoryHistory({ initialEntries: [page.path] }),
})

const root = document.getElementById('root')
if (root) {
  createRoot(root).render(
    <StrictMode>
      <RouterProvider router={router} />
    </StrictMode>,
  )
}
