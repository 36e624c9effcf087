import { Link } from '@tanstack/react-router'

const PARTS = [
  { to: '/jobs', label: 'Jobs' },
  { to: '/jobs/queues', label: 'Queues' },
  { to: '/jobs/workers', label: 'Workers' },
  { to: '/jobs/dead', label: 'Dead letters' },
  { to: '/jobs/locks', label: 'Locks' },
] as const

/** The parts of the jobs section. */
export function JobsNav() {
  return (
    <nav
      aria-label="Parts of the jobs"
      className="flex flex-none gap-1 overflow-x-auto border-b border-line-1 px-3 wide:px-4"
    >
      {PARTS.map(({ to, label }) => (
        <Link
          key={to}
          to={to}
          activeOptions={{ exact: true, includeSearch: false }}
          className="border-b-2 border-transparent px-2 py-1.5 text-s2 whitespace-nowrap text-ink-2 hover:text-ink aria-[current=page]:border-accent aria-[current=page]:font-medium aria-[current=page]:text-ink"
        >
          {label}
        </Link>
      ))}
    </nav>
  )
}
