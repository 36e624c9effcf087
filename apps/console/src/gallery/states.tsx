import { Server } from 'lucide-react'
import type { ReactNode } from 'react'
import { Button } from '../ui/button.tsx'
import { BlastChip } from '../ui/blast.tsx'
import { Page } from '../ui/page.tsx'
import {
  DeniedState,
  EmptyState,
  ErrorState,
  ForbiddenState,
  NoMatchState,
  PartialLine,
  SkeletonRows,
  StaleLine,
} from '../ui/states.tsx'
import { STATUSES, StatusPill, StatusShape, StatusText, Severities, type Status } from '../ui/status.tsx'

const WORDS: Record<Status, string> = {
  ok: 'Healthy, Live, Passed',
  running: 'Deploying, Running',
  warning: 'Warning, Degraded',
  failed: 'Failed, Rolled back',
  waiting: 'Waits, Blocked',
  denied: 'Denied, Forbidden',
  unknown: 'Silent, Not known',
  off: 'Suspended, Skipped',
}

/** The vocabulary and the eight states of a list. */
export function StatesGallery() {
  return (
    <Page scroll className="px-4 py-4 wide:px-[22px]">
      <h1 className="mb-3 text-s6 font-strong tracking-(--track-tight)">States and words</h1>
      <ul className="mb-3.5 grid grid-cols-2 rounded-r3 border border-line-1 bg-surface-2 wide:grid-cols-8">
        {STATUSES.map((status) => (
          <li
            key={status}
            className="flex min-w-0 items-center gap-[9px] border-line-1 py-[11px] pr-2 pl-[13px] wide:border-l wide:first:border-l-0"
          >
            <StatusShape status={status} size={20} />
            <span className="text-s2" data-status={status}>
              <b className="font-medium text-st-text">{status}</b>
              <small className="block text-s1 leading-[14px] text-ink-3">{WORDS[status]}</small>
            </span>
          </li>
        ))}
      </ul>
      <div className="grid gap-3.5 wide:grid-cols-4">
        <Panel title="Loading" note="after 200 ms, never before">
          <SkeletonRows rows={5} />
        </Panel>
        <Panel title="Empty" note="nothing yet">
          <EmptyState
            icon={Server}
            title="No instances here yet"
            acts={
              <>
                <Button size="sm" tone="primary">
                  Join a machine
                </Button>
                <Button size="sm">Open templates</Button>
              </>
            }
          >
            Join this machine, or create one from a template.
          </EmptyState>
        </Panel>
        <Panel title="No match" note="a filter hides all">
          <NoMatchState
            what="instance"
            filters={3}
            tightest={{ words: 'region ap-3', without: 9, drop: () => {} }}
            onClear={() => {}}
          />
        </Panel>
        <Panel title="Partial" note="2 of 3 sources">
          <PartialLine onRetry={() => {}}>gcp did not answer in 3 s. 94 instances are missing.</PartialLine>
          <Rows end="aws" />
        </Panel>
        <Panel title="Stale" note="age 4 min">
          <StaleLine since={Date.now() - 240_000} why="The stream is down, next try in 8 s." onRetry={() => {}} />
          <Rows end="4 min ago" />
        </Panel>
        <Panel title="Forbidden" note="your roles">
          <ForbiddenState
            title="You cannot see secrets of prod-eu"
            permission="secret:read"
            grantedBy="security-admins can grant it."
            acts={<Button size="sm">Ask for access</Button>}
          />
        </Panel>
        <Panel title="Denied by policy" note="decision dc_88Qa">
          <DeniedState
            title="Not outside 08–12 UTC for agents"
            rule="agents-office-hours"
            acts={
              <>
                <Button size="sm">Ask for an exception</Button>
                <Button size="sm" tone="quiet">
                  Explain
                </Button>
              </>
            }
          >
            Clears at 08:00, in 17 h.
          </DeniedState>
        </Panel>
        <Panel title="Error" note="not your fault">
          <ErrorState title="The list could not be read" trace="6f0c1b7e-a913" onRetry={() => {}}>
            The database took over 5 s. Nothing was changed.
          </ErrorState>
        </Panel>
        <Panel title="Words">
          <div className="flex flex-col items-start gap-2 p-3.5">
            {STATUSES.map((status) => (
              <StatusText key={status} status={status}>
                {WORDS[status].split(',')[0]}
              </StatusText>
            ))}
          </div>
        </Panel>
        <Panel title="Pills">
          <div className="flex flex-col items-start gap-1.5 p-3.5">
            {STATUSES.map((status) => (
              <StatusPill key={status} status={status}>
                {WORDS[status].split(',')[0]}
              </StatusPill>
            ))}
          </div>
        </Panel>
        <Panel title="Blast radius">
          <div className="flex flex-col items-start gap-3 p-3.5">
            <BlastChip reach="one" words="1 instance, 3 services" undo="undo in 40 s" />
            <BlastChip reach="some" words="9 services" undo="needs 1 approval" />
            <BlastChip reach="many" words="46 instances" undo="undo in 6 min" />
            <BlastChip reach="all" words="41 M rows" noUndo />
          </div>
        </Panel>
        <Panel title="Severities">
          <div className="flex flex-col items-start gap-3 p-3.5">
            <Severities critical={1} high={2} />
            <Severities high={1} medium={4} />
            <Severities />
          </div>
        </Panel>
      </div>
    </Page>
  )
}

function Panel(props: { title: string; note?: string; children: ReactNode }) {
  return (
    <section className="flex min-w-0 flex-col overflow-hidden rounded-r3 border border-line-1 bg-surface-2">
      <header className="flex min-h-[38px] items-center gap-2 pr-3 pl-3.5">
        <h2 className="font-strong">{props.title}</h2>
        <span className="ml-auto text-s1 text-ink-3">{props.note}</span>
      </header>
      <div className="min-h-[178px] border-t border-line-1">{props.children}</div>
    </section>
  )
}

function Rows(props: { end: string }) {
  return ['pay-api-eu-13', 'web-bff-eu-03', 'web-bff-eu-04'].map((name, index) => (
    <div key={name} className="flex h-[34px] items-center gap-2 border-b border-line-1 px-3.5 text-s2">
      <StatusShape status={index === 1 ? 'warning' : 'ok'} size={12} label={index === 1 ? 'Warning' : 'Healthy'} />
      <span className="mono">{name}</span>
      <span className="ml-auto text-ink-3">{props.end}</span>
    </div>
  ))
}
