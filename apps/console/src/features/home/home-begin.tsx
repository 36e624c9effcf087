import { Link } from '@tanstack/react-router'
import { FilePlus2, Plus, ShieldCheck, Terminal, type LucideIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import type { Instance } from '../../api/wire.ts'
import { useRefusal } from '../../app/allowed.ts'
import { Card } from '../../ui/page.tsx'
import { isUnheard } from '../fleet/instance-state.ts'

/** What to do first, where no job has run yet. Only what this person may do. */
export function HomeBegin(props: { instances: readonly Instance[] }) {
  const refusal = useRefusal()
  const host = props.instances.find((instance) => instance.status === 'RUNNING' && !isUnheard(instance))
  const may = {
    command: refusal('fleet', 'POST', '/api/v1/commands') === undefined,
    workflow: refusal('jobs', 'POST', '/api/v1/workflows') === undefined,
    host: refusal('native', 'POST', '/wheelhouse/api/v1/agents/join-tokens') === undefined,
    policy: refusal('jobs', 'GET', '/api/v1/policy/rules') === undefined,
  }
  if (!Object.values(may).some(Boolean)) return null
  return (
    <Card title="Begin here" note="no job has run yet">
      <ul className="border-t border-line-1">
        {may.command && host && (
          <Step icon={Terminal} words="Its output is shown as it comes; policy looks at it before it runs.">
            <Link to="/fleet/$id" params={{ id: host.id }} search={{ tab: 'command' }} className={LINK}>
              Run a command on <span className="mono">{host.name}</span>
            </Link>
          </Step>
        )}
        {may.workflow && (
          <Step icon={FilePlus2} words="An example is written down already: it asks a person, then it tells.">
            <Link to="/workflows/new" className={LINK}>
              Make a first workflow
            </Link>
          </Step>
        )}
        {may.host && (
          <Step icon={Plus} words="One line to run on it; nothing needs to be opened there.">
            <Link to="/admin" search={{ tab: 'hosts' }} className={LINK}>
              Add another machine
            </Link>
          </Step>
        )}
        {may.policy && (
          <Step icon={ShieldCheck} words="What is refused, what waits for a second person, and what a change would do.">
            <Link to="/policy" className={LINK}>
              Look at the rules in force
            </Link>
          </Step>
        )}
      </ul>
    </Card>
  )
}

const LINK = 'font-medium text-accent-text hover:underline hover:underline-offset-3'

function Step(props: { icon: LucideIcon; words: string; children: ReactNode }) {
  const Icon = props.icon
  return (
    <li className="flex items-start gap-3 border-b border-line-1 px-3.5 py-2.5 last:border-b-0">
      <Icon size={16} aria-hidden className="mt-0.5 flex-none text-ink-3" />
      <span className="min-w-0 text-s2">
        {props.children}
        <span className="block text-ink-2">{props.words}</span>
      </span>
    </li>
  )
}
