import { useNavigate } from '@tanstack/react-router'
import {
  FilePlus2,
  FlaskConical,
  Keyboard,
  Layers,
  Lock,
  LogOut,
  Moon,
  Package,
  Play,
  Plus,
  Skull,
  Store,
  Sun,
  Users,
  Workflow,
  Wrench,
  type LucideIcon,
} from 'lucide-react'
import { useMemo } from 'react'
import { useInstances } from '../api/fleet.ts'
import { usePacks } from '../api/packs.ts'
import { useSignIn } from '../api/session.ts'
import { useWorkflows } from '../api/workflows.ts'
import { instanceState } from '../features/fleet/instance-state.ts'
import { CommandPalette, type PaletteEntry } from '../ui/command-palette.tsx'
import { useRefusal } from './allowed.ts'
import { setPreferences } from './preferences.ts'
import { SECTIONS } from './sections.ts'

interface Place {
  to: string
  label: string
  icon: LucideIcon
  search?: Record<string, string>
  words?: readonly string[]
}

/** Parts of pages that have an address of their own. */
const PLACES: readonly Place[] = [
  { to: '/jobs/queues', label: 'Queues', icon: Layers, words: ['pools', 'topics', 'paused'] },
  { to: '/jobs/workers', label: 'Workers', icon: Wrench, words: ['drain'] },
  { to: '/jobs/dead', label: 'Dead letters', icon: Skull, words: ['dlq', 'failed jobs'] },
  { to: '/jobs/locks', label: 'Locks', icon: Lock, words: ['fencing'] },
  {
    to: '/policy',
    search: { tab: 'studio' },
    label: 'Policy studio',
    icon: FlaskConical,
    words: ['bundle', 'rules', 'tests', 'what if', 'replay'],
  },
  { to: '/packs', search: { tab: 'marketplace' }, label: 'Marketplace', icon: Store, words: ['catalogue', 'install'] },
  { to: '/admin', search: { tab: 'users' }, label: 'Users', icon: Users },
  { to: '/admin', search: { tab: 'principals' }, label: 'Principals', icon: Users, words: ['agents', 'freeze'] },
]

const MOST = 300

/** Everything by its name: pages, workflows and their runs, packs, machines, and the verbs of now. */
export function Palette(props: { onClose: () => void; onKeys: () => void }) {
  const navigate = useNavigate()
  const refusal = useRefusal()
  const mayReadWorkflows = refusal('jobs', 'GET', '/api/v1/workflows') === undefined
  const mayRun = refusal('jobs', 'POST', '/api/v1/workflows/{id}/runs') === undefined
  const maySave = refusal('jobs', 'POST', '/api/v1/workflows') === undefined
  const mayReadPacks = refusal('jobs', 'GET', '/api/v1/packs') === undefined
  const instances = useInstances()
  const workflows = useWorkflows(mayReadWorkflows)
  const packs = usePacks(mayReadPacks)
  const { signOut } = useSignIn()
  const { onKeys } = props
  const entries = useMemo<PaletteEntry[]>(() => {
    const go = (to: string, search: Record<string, string> = {}) => void navigate({ to, search })
    const known = (workflows.data ?? []).slice(0, MOST)
    return [
      ...SECTIONS.flatMap((section) =>
        section.entries.map((entry) => ({
          id: entry.to,
          label: entry.label,
          group: 'Go to',
          icon: entry.icon,
          keys: `g ${entry.key}`,
          run: () => go(entry.to),
        })),
      ),
      ...PLACES.map(({ to, search, label, icon, words = [] }) => ({
        id: `place:${label}`,
        label,
        group: 'Go to',
        icon,
        words,
        run: () => go(to, search),
      })),
      ...(maySave
        ? [{ id: 'do:workflow', label: 'New workflow', group: 'Do', icon: FilePlus2, run: () => go('/workflows/new') }]
        : []),
      { id: 'do:join', label: 'Add a host', group: 'Do', icon: Plus, run: () => go('/admin', { tab: 'hosts' }) },
      { id: 'do:light', label: 'Light theme', group: 'Do', icon: Sun, run: () => setPreferences({ theme: 'light' }) },
      { id: 'do:dark', label: 'Dark theme', group: 'Do', icon: Moon, run: () => setPreferences({ theme: 'dark' }) },
      { id: 'do:keys', label: 'All keys', group: 'Do', icon: Keyboard, keys: '?', run: onKeys },
      { id: 'do:out', label: 'Sign out', group: 'Do', icon: LogOut, run: () => void signOut() },
      ...known.map(({ id, name }) => ({
        id: `workflow:${id}`,
        label: name || id,
        hint: name === '' ? '' : id,
        group: 'Workflows',
        icon: Workflow,
        words: [id, 'workflow'],
        run: () => go(`/workflows/${encodeURIComponent(id)}`),
      })),
      ...(mayRun ? known : []).map(({ id, name }) => ({
        id: `run:${id}`,
        label: `Run ${name || id}`,
        group: 'Run a workflow',
        icon: Play,
        words: [id, 'start', 'run workflow'],
        run: () => go(`/workflows/${encodeURIComponent(id)}`, { start: '1' }),
      })),
      ...(packs.data?.items ?? []).slice(0, MOST).map((pack) => ({
        id: `pack:${pack.id}`,
        label: pack.id,
        hint: pack.version,
        group: 'Packs',
        icon: Package,
        words: ['pack'],
        run: () => go('/packs'),
      })),
      ...(instances.data?.instances ?? []).slice(0, MOST).map((instance) => ({
        id: `instance:${instance.id}`,
        label: instance.name,
        hint: [instance.provider, instance.region].filter(Boolean).join(' '),
        group: 'Instances',
        mono: true,
        status: instanceState(instance).status,
        words: [instance.id],
        run: () => go(`/fleet/${encodeURIComponent(instance.id)}`),
      })),
    ]
  }, [instances.data, workflows.data, packs.data, mayRun, maySave, navigate, signOut, onKeys])
  return <CommandPalette open onOpenChange={(open) => !open && props.onClose()} entries={entries} />
}
