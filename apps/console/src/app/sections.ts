import {
  Activity,
  House,
  Inbox,
  ListChecks,
  Package,
  Server,
  Settings2,
  ShieldCheck,
  Workflow,
  type LucideIcon,
} from 'lucide-react'

export interface SectionEntry {
  to: '/' | '/inbox' | '/activity' | '/fleet' | '/workflows' | '/jobs' | '/policy' | '/packs' | '/admin'
  label: string
  icon: LucideIcon
  /** The second key after `g`. */
  key: string
  /** One of the five of the bottom bar. */
  bottom?: boolean
}

/** The navigation: only what has a page. Groups stand in this order. */
export const SECTIONS: readonly { title?: string; entries: readonly SectionEntry[] }[] = [
  {
    entries: [
      { to: '/', label: 'Home', icon: House, key: 'h', bottom: true },
      { to: '/inbox', label: 'Inbox', icon: Inbox, key: 'i', bottom: true },
      { to: '/activity', label: 'Activity', icon: Activity, key: 'a', bottom: true },
    ],
  },
  { title: 'Fleet', entries: [{ to: '/fleet', label: 'Instances', icon: Server, key: 'f', bottom: true }] },
  {
    title: 'Jobs',
    entries: [
      { to: '/workflows', label: 'Workflows', icon: Workflow, key: 'w' },
      { to: '/jobs', label: 'Jobs', icon: ListChecks, key: 'j', bottom: true },
      { to: '/policy', label: 'Policy', icon: ShieldCheck, key: 'o' },
    ],
  },
  {
    title: 'Platform',
    entries: [
      { to: '/packs', label: 'Packs', icon: Package, key: 'k' },
      { to: '/admin', label: 'Admin', icon: Settings2, key: 'd' },
    ],
  },
]
