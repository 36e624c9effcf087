import { Outlet, useNavigate, useRouter } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useState } from 'react'
import { onSignedOut, queryClient } from '../api/client.ts'
import { useFleetStats } from '../api/fleet.ts'
import { useInbox } from '../api/inbox.ts'
import { keys } from '../api/keys.ts'
import { useLive, useLiveSockets } from '../api/live.ts'
import { useSignIn, useStatus, type Session } from '../api/session.ts'
import { span } from '../ui/age.ts'
import { useNow } from '../ui/clock.ts'
import { useKeys } from '../ui/keys.tsx'
import { ShortcutsSheet } from '../ui/shortcuts-sheet.tsx'
import { useRefusal } from './allowed.ts'
import { useCrumbs } from './crumbs.ts'
import { Frame } from './frame.tsx'
import { setPreferences, usePreferences } from './preferences.ts'
import { SECTIONS } from './sections.ts'
import type { LiveState } from './top-bar.tsx'

const Palette = lazy(() => import('./palette.tsx').then((module) => ({ default: module.Palette })))

/** The frame around every page of a person who is signed in: navigation, keys, palette, the live mark. */
export function Shell(props: { session: Session }) {
  const { session } = props
  useLiveSockets()
  const refusal = useRefusal()
  const decides = refusal('native', 'GET', '/wheelhouse/api/v1/inbox') === undefined
  const inbox = useInbox(decides)
  const stats = useFleetStats()
  const status = useStatus()
  const live = useLiveState(status.data?.build.version)
  const crumbs = useCrumbs()
  const { signOut } = useSignIn()
  const preferences = usePreferences()
  const navigate = useNavigate()
  const router = useRouter()
  const [palette, setPalette] = useState(false)
  const [sheet, setSheet] = useState(false)

  useEffect(() => onSignedOut(() => void queryClient.setQueryData(keys.session, null)), [])

  useKeys([
    { keys: 'mod+k', label: 'Search or run a command', group: 'Everywhere', typing: true, run: () => setPalette(true) },
    { keys: '?', label: 'All keys', group: 'Everywhere', run: () => setSheet(true) },
    {
      keys: 'mod+.',
      label: 'Change the density',
      group: 'Everywhere',
      typing: true,
      run: () => setPreferences({ density: preferences.density === 'compact' ? 'comfortable' : 'compact' }),
    },
    { keys: 'escape', label: 'Back', group: 'Everywhere', run: () => crumbs.length > 1 && router.history.back() },
    ...SECTIONS.flatMap((section) =>
      section.entries.map((entry) => ({
        keys: `g ${entry.key}`,
        label: entry.label,
        group: 'Go to',
        run: () => void navigate({ to: entry.to }),
      })),
    ),
  ])

  const waits = inbox.data?.total ?? 0
  return (
    <Frame
      tenant={session.tenant.name}
      path={crumbs}
      user={{ name: session.principal.name || session.principal.subject, roles: session.roles }}
      inbox={waits}
      live={live}
      counts={{
        '/fleet': { value: stats.data?.total ?? 0 },
        '/inbox': { value: waits, waits: true },
      }}
      foot={
        <>
          <p className="flex items-center gap-1.5">
            <i className="wh-live" data-status={status.isError ? 'unknown' : 'ok'} />
            {status.isError ? 'The server does not answer' : 'The server answers'}
          </p>
          {status.data && <p className="pl-[13px]">wheelhouse {status.data.build.version}</p>}
        </>
      }
      onSearch={() => setPalette(true)}
      onKeys={() => setSheet(true)}
      onSignOut={() => void signOut()}
    >
      <Outlet />
      {palette && (
        <Suspense fallback={null}>
          <Palette onClose={() => setPalette(false)} onKeys={() => setSheet(true)} />
        </Suspense>
      )}
      <ShortcutsSheet
        open={sheet}
        onOpenChange={setSheet}
        singleKeys={preferences.singleKeys}
        onSingleKeys={(singleKeys) => setPreferences({ singleKeys })}
      />
    </Frame>
  )
}

function useLiveState(version: string | undefined): LiveState {
  const live = useLive()
  const now = useNow()
  const base = { since: live.heardAt, version }
  if (live.open.fleet && live.open.jobs) return { ...base, state: 'live' }
  if (live.open.fleet || live.open.jobs) {
    return {
      ...base,
      state: 'live',
      why: `Only ${live.open.fleet ? 'the fleet' : 'jobs'} is streamed; the rest is asked for every 30 s.`,
    }
  }
  const next = live.retryAt === undefined ? '' : ` Next try in ${span(Math.max(0, live.retryAt - now))}.`
  return { ...base, state: 'behind', why: `The stream is down; pages ask every 30 s.${next}` }
}
