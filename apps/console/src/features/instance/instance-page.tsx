import { useNavigate, useParams } from '@tanstack/react-router'
import { Archive, MoreHorizontal, Pause, Play, Terminal, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { useInstance, useInstanceAction, useInstanceEvents, useLatestMetrics, useLifecycle } from '../../api/fleet.ts'
import { failureOf } from '../../api/failure.ts'
import type { Instance, LifecycleAction } from '../../api/wire.ts'
import { useRefusal } from '../../app/allowed.ts'
import { usePageName } from '../../app/crumbs.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { span } from '../../ui/age.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { useNow } from '../../ui/clock.ts'
import { ConfirmPopover } from '../../ui/confirm-popover.tsx'
import { useKeys } from '../../ui/keys.tsx'
import { Menu } from '../../ui/overlay.tsx'
import { FactsLine, ObjectHeader, Page } from '../../ui/page.tsx'
import { SkeletonRows, StaleLine } from '../../ui/states.tsx'
import { StatusPill } from '../../ui/status.tsx'
import { Tabs, tabPanel } from '../../ui/tabs.tsx'
import { toast } from '../../ui/toast.tsx'
import { Age } from '../../ui/time.tsx'
import { lifecycleConsequences } from '../fleet/consequences.tsx'
import { environmentOf, instanceState, placeOf } from '../fleet/instance-state.ts'
import { CommandTab } from './command-tab.tsx'
import { EventsTab } from './events-tab.tsx'
import { LogsTab } from './logs-tab.tsx'
import { OverviewTab } from './overview-tab.tsx'
import { ProcessesTab } from './processes-tab.tsx'
import { TerminalTab } from './terminal-tab.tsx'

const TABS = ['overview', 'logs', 'processes', 'terminal', 'command', 'events'] as const
type InstanceTab = (typeof TABS)[number]
const TAB_WORDS: Record<InstanceTab, string> = {
  overview: 'Overview',
  logs: 'Logs',
  processes: 'Processes',
  terminal: 'Terminal',
  command: 'Command',
  events: 'Events',
}

/** What is this machine doing? */
export function InstancePage() {
  const { id = '' } = useParams({ strict: false }) as { id?: string }
  const instance = useInstance(id)
  const [url, setUrl] = useUrlState()
  const tab = TABS.find((each) => each === url['tab']) ?? 'overview'
  usePageName(
    { label: 'Fleet' },
    { label: 'Instances', to: '/fleet' },
    { label: instance.data?.name ?? id, mono: true },
  )
  useKeys([{ keys: 'e', label: 'Run a command here', group: 'Page', run: () => setUrl({ tab: 'command' }, true) }])

  if (instance.isPending) return <SkeletonRows rows={10} />
  if (!instance.data) {
    return (
      <>
        <h1 className="sr-only">Instance {id}</h1>
        <FailureView error={instance.error} what="the instance" onRetry={() => void instance.refetch()} />
      </>
    )
  }
  return (
    <Page>
      <InstanceHead
        instance={instance.data}
        tab={tab}
        onTab={(next) => setUrl({ tab: next === 'overview' ? undefined : next, line: undefined }, true)}
      />
      {instance.isError && (
        <StaleLine
          since={instance.dataUpdatedAt}
          why="It could not be read anew."
          onRetry={() => void instance.refetch()}
        />
      )}
      <div {...tabPanel('instance', tab)} className="flex min-h-0 flex-1 flex-col focus-visible:-outline-offset-2">
        {tab === 'overview' && <OverviewTab instance={instance.data} />}
        {tab === 'logs' && <LogsTab id={id} name={instance.data.name} />}
        {tab === 'processes' && <ProcessesTab id={id} />}
        {tab === 'terminal' && <TerminalTab id={id} name={instance.data.name} />}
        {tab === 'command' && <CommandTab instance={instance.data} />}
        {tab === 'events' && <EventsTab id={id} />}
      </div>
    </Page>
  )
}

function InstanceHead(props: { instance: Instance; tab: InstanceTab; onTab: (tab: InstanceTab) => void }) {
  const { instance } = props
  const latest = useLatestMetrics()
  const events = useInstanceEvents(instance.id)
  const now = useNow(10_000)
  const state = instanceState(instance, latest.data?.get(instance.id))
  const beat = instance.lastHeartbeat
  return (
    <ObjectHeader
      status={state.status}
      name={instance.name}
      mono
      pill={<StatusPill status={state.status}>{state.word}</StatusPill>}
      verbs={<Verbs instance={instance} onTab={props.onTab} />}
      facts={
        <FactsLine
          facts={[
            environmentOf(instance) !== undefined && { name: 'env', value: environmentOf(instance) },
            { name: 'place', value: placeOf(instance) },
            instance.distro !== null && { name: 'on', value: instance.distro },
            beat
              ? {
                  name: 'up',
                  value: span(Number(beat.uptimeSeconds) * 1000 + Math.max(0, now - Date.parse(beat.timestamp))),
                }
              : undefined,
            { name: 'seen', value: beat ? <Age at={beat.timestamp} suffix=" ago" /> : 'never' },
            instance.agentVersion ? { name: 'agent', value: instance.agentVersion } : undefined,
          ]}
        />
      }
    >
      <Tabs
        id="instance"
        label={`Parts of ${instance.name}`}
        keys
        className="-mx-4 border-b-0 px-[7px] wide:-ml-5 wide:px-[11px]"
        value={props.tab}
        onChange={props.onTab}
        tabs={TABS.map((value) => ({
          value,
          label: TAB_WORDS[value],
          count: value === 'events' && events.data?.length ? events.data.length : undefined,
        }))}
      />
    </ObjectHeader>
  )
}

function Verbs(props: { instance: Instance; onTab: (tab: InstanceTab) => void }) {
  const { instance } = props
  const lifecycle = useLifecycle(instance.id)
  const act = useInstanceAction(instance.id)
  const refusal = useRefusal()
  const navigate = useNavigate()
  const [open, setOpen] = useState<LifecycleAction>()
  const [menu, setMenu] = useState(false)
  const may = lifecycle.data?.availableActions ?? []

  const off = (action: LifecycleAction): string | undefined =>
    refusal('fleet', 'POST', `/api/v1/instances/{id}/${action}`) ??
    (lifecycle.data && !may.includes(action)
      ? `Not while it is ${instanceState(instance).word.toLowerCase()}.`
      : undefined)

  const run = async (action: LifecycleAction) => {
    try {
      const result = await act.mutateAsync(action)
      if (result.approvalRequired) {
        toast({
          status: 'waiting',
          title: `${title(action)} ${instance.name} needs an approval`,
          act: {
            label: 'Open',
            run: () => void navigate({ to: '/inbox', search: result.jobId ? { job: result.jobId } : {} }),
          },
        })
        return
      }
      toast({
        status: 'ok',
        title: result.message,
        text: instance.name,
        ...(action === 'suspend' ? { act: { label: 'Undo', run: () => act.mutate('resume') } } : {}),
      })
    } catch (error) {
      const failure = failureOf(error)
      toast({
        status: failure.kind === 'denied' || failure.kind === 'forbidden' ? 'denied' : 'failed',
        title: `Could not ${action} ${instance.name}`,
        text: failure.rule ? `${failure.message} Rule ${failure.rule}.` : failure.message,
      })
    }
  }

  const confirm = (action: LifecycleAction, button: React.ReactElement) => {
    if (off(action) && open !== action) return button
    const { reach, lines } = lifecycleConsequences(action, 1)
    return (
      <ConfirmPopover
        trigger={button}
        label={`${title(action)} ${instance.name}`}
        title={
          <>
            {title(action)} <span className="mono">{instance.name}</span>
          </>
        }
        verb={`${title(action)} it`}
        reach={reach}
        consequences={lines}
        {...(action === 'destroy' ? { typeName: instance.name } : {})}
        open={open === action}
        onOpenChange={(next) => setOpen(next ? action : undefined)}
        onConfirm={() => run(action)}
      />
    )
  }

  const resting = may.includes('resume')
  return (
    <>
      <Button icon={Terminal} hotkey="e" onClick={() => props.onTab('command')}>
        Run command
      </Button>
      {resting
        ? confirm(
            'resume',
            <Button icon={Play} off={off('resume')}>
              Resume
            </Button>,
          )
        : confirm(
            'suspend',
            <Button icon={Pause} off={off('suspend')}>
              Suspend
            </Button>,
          )}
      <span className="relative inline-flex">
        <Menu
          label={`More verbs for ${instance.name}`}
          open={menu}
          onOpenChange={setMenu}
          trigger={<IconButton icon={MoreHorizontal} label="More verbs" edged />}
          entries={[
            { label: 'Back up', icon: Archive, off: off('backup'), opens: true, run: () => setOpen('backup') },
            { kind: 'line' },
            {
              label: 'Destroy',
              icon: Trash2,
              danger: true,
              off: off('destroy'),
              opens: true,
              run: () => setOpen('destroy'),
            },
          ]}
        />
        {(open === 'backup' || open === 'destroy') &&
          confirm(open, <span aria-hidden className="pointer-events-none absolute inset-0" />)}
      </span>
    </>
  )
}

const TITLES: Record<LifecycleAction, string> = {
  suspend: 'Suspend',
  resume: 'Resume',
  destroy: 'Destroy',
  backup: 'Back up',
}
const title = (action: LifecycleAction) => TITLES[action]
