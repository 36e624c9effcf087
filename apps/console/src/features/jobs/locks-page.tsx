import { LockKeyhole, Unlock } from 'lucide-react'
import { useLocks, useReleaseLock, type LockRow } from '../../api/operations.ts'
import { ActButton } from '../../app/act-button.tsx'
import { useRefusal } from '../../app/allowed.ts'
import { usePageName } from '../../app/crumbs.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { count } from '../../ui/age.ts'
import { IconButton } from '../../ui/button.tsx'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { Page, PageHeader } from '../../ui/page.tsx'
import { EmptyState, SkeletonRows } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { TableFoot } from '../../ui/table-foot.tsx'
import { Age, Left } from '../../ui/time.tsx'
import { toast } from '../../ui/toast.tsx'
import { JobsNav } from './jobs-nav.tsx'

const COLUMNS: readonly Column<LockRow>[] = [
  {
    id: 'resource',
    head: 'Resource',
    narrow: 'name',
    cell: (lock) => (
      <span className="flex min-w-0 items-center gap-2">
        <StatusShape status={lock.mode === 'exclusive' ? 'running' : 'ok'} size={14} label={lock.mode} />
        <span className="mono truncate font-medium text-ink">{lock.resource}</span>
      </span>
    ),
  },
  { id: 'mode', head: 'Mode', width: 100, from: 620, cell: (lock) => lock.mode },
  {
    id: 'owners',
    head: 'Held by',
    width: 260,
    narrow: 'place',
    cell: (lock) => (
      <span className="mono truncate">
        {Object.entries(lock.owners)
          .map(([owner, holds]) => (holds > 1 ? `${owner} ×${holds}` : owner))
          .join(', ')}
      </span>
    ),
  },
  {
    id: 'token',
    head: 'Token',
    width: 76,
    right: true,
    from: 760,
    cell: (lock) => <span className="num">{lock.token}</span>,
  },
  { id: 'taken', head: 'Changed', width: 92, right: true, from: 860, cell: (lock) => <Age at={lock.updatedAt} /> },
  {
    id: 'left',
    head: 'Expires',
    width: 100,
    right: true,
    narrow: 'end',
    cell: (lock) => <Left until={lock.expiresAt} />,
  },
  { id: 'verbs', head: '', width: 56, right: true, narrow: 'verb', cell: (lock) => <Release lock={lock} /> },
]

/** Who holds what, and for how long. */
export function LocksPage() {
  usePageName({ label: 'Jobs', to: '/jobs' }, { label: 'Locks' })
  const locks = useLocks()
  return (
    <Page>
      <PageHeader title="Locks" count={locks.data ? count(locks.data.total) : ''} />
      <JobsNav />
      {locks.isPending ? (
        <SkeletonRows rows={6} />
      ) : !locks.data ? (
        <FailureView error={locks.error} what="the locks" onRetry={() => void locks.refetch()} />
      ) : (
        <DataTable
          label="Locks"
          rows={locks.data.items}
          rowId={(lock) => lock.resource}
          columns={COLUMNS}
          serverSorted
          empty={
            <EmptyState icon={LockKeyhole} title="Nothing is locked">
              Jobs and pipelines take locks by name so that two of them do not touch the same thing. Each carries a
              fencing token that only grows.
            </EmptyState>
          }
        />
      )}
      <TableFoot count="" fresh={locks.dataUpdatedAt || undefined} keys={[]} />
    </Page>
  )
}

function Release(props: { lock: LockRow }) {
  const { resource, owners } = props.lock
  const release = useReleaseLock()
  const refusal = useRefusal()
  const off = refusal('jobs', 'POST', '/api/v1/locks/release')
  const owner = Object.keys(owners)[0] ?? ''
  return (
    <ActButton
      button={<IconButton icon={Unlock} size="sm" label={`Release ${resource}`} disabled={Boolean(off)} />}
      off={off}
      label={`Release ${resource}`}
      verb="Release it"
      reach="one"
      consequences={{
        reach: { level: 1, words: <b>1 hold of {owner}</b>, more: 'who held it is not told' },
        undo: { level: 2, words: 'it must take the lock again' },
        cost: { level: 0, words: 'none' },
        data: { level: 2, words: 'what it was doing may meet somebody else; its fencing token tells' },
      }}
      run={() => release.mutateAsync({ resource, owner })}
      onDone={() => toast({ status: 'off', title: 'Released', text: resource })}
      failed="Not released"
    />
  )
}
