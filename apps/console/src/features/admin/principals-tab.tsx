import { Link } from '@tanstack/react-router'
import { Snowflake, Sun } from 'lucide-react'
import { useState } from 'react'
import { useFreeze, usePrincipal, usePrincipals, type PrincipalRow } from '../../api/principals.ts'
import { ActButton } from '../../app/act-button.tsx'
import { useRefusal } from '../../app/allowed.ts'
import { failureToast } from '../../app/failure-toast.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { count } from '../../ui/age.ts'
import { Button } from '../../ui/button.tsx'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { Segmented } from '../../ui/form.tsx'
import { useNarrow } from '../../ui/measure.ts'
import { Sheet } from '../../ui/overlay.tsx'
import { KeyValues, Section } from '../../ui/page.tsx'
import { SkeletonRows } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { Age } from '../../ui/time.tsx'
import { toast } from '../../ui/toast.tsx'

const KINDS = [
  { value: '', label: 'All' },
  { value: 'user', label: 'People' },
  { value: 'key', label: 'Keys' },
  { value: 'agent', label: 'Agents' },
  { value: 'service', label: 'Services' },
] as const
type Kind = (typeof KINDS)[number]['value']

const COLUMNS: readonly Column<PrincipalRow>[] = [
  {
    id: 'name',
    head: 'Who',
    narrow: 'name',
    cell: (principal) => (
      <span className="flex min-w-0 items-center gap-2">
        <StatusShape
          status={principal.state === 'frozen' ? 'denied' : 'ok'}
          size={14}
          label={principal.state === 'frozen' ? 'frozen' : 'active'}
        />
        <Link
          to="/admin"
          search={{ tab: 'principals', principal: principal.id }}
          className="truncate font-medium text-ink hover:underline hover:underline-offset-3"
        >
          {principal.name}
        </Link>
        <span className="mono truncate text-ink-3 narrow:hidden">{principal.subject}</span>
        {principal.state === 'frozen' && <span className="text-s1 text-failed-text">frozen</span>}
      </span>
    ),
  },
  { id: 'kind', head: 'Kind', width: 110, narrow: 'place', cell: (principal) => principal.kind },
  {
    id: 'owner',
    head: 'Belongs to',
    width: 190,
    from: 680,
    cell: (principal) => principal.owner?.name ?? <span className="text-ink-3">–</span>,
  },
  {
    id: 'made',
    head: 'Since',
    width: 92,
    right: true,
    narrow: 'end',
    cell: (principal) => <Age at={principal.createdAt} />,
  },
]

/** Everyone and everything that may act: whose it is, what it does now, and the stop button. */
export function PrincipalsTab() {
  const [url, setUrl] = useUrlState()
  const [kind, setKind] = useState<Kind>('')
  const principals = usePrincipals(kind)
  const narrow = useNarrow()
  return (
    <>
      <div className="flex flex-none items-center gap-3 px-4 py-2.5 wide:px-5">
        <Segmented label="Kind" value={kind} onChange={setKind} options={KINDS} />
        <span className="text-s2 text-ink-3">{principals.data && count(principals.data.total)}</span>
      </div>
      {principals.isPending ? (
        <SkeletonRows rows={8} />
      ) : !principals.data ? (
        <FailureView error={principals.error} what="the principals" onRetry={() => void principals.refetch()} />
      ) : (
        <DataTable
          label="Principals"
          rows={principals.data.items}
          rowId={(principal) => principal.id}
          columns={COLUMNS}
          serverSorted
          onOpen={(principal) => setUrl({ principal: principal.id })}
          empty={<p className="p-5 text-s2 text-ink-3">There is none of this kind.</p>}
        />
      )}
      <Sheet
        open={url['principal'] !== undefined}
        onOpenChange={(open) => !open && setUrl({ principal: undefined })}
        title="Principal"
        side={narrow ? 'bottom' : 'right'}
        width={480}
      >
        <PrincipalSheet id={url['principal']} />
      </Sheet>
    </>
  )
}

function PrincipalSheet(props: { id: string | undefined }) {
  const principal = usePrincipal(props.id)
  const [, setUrl] = useUrlState()
  if (principal.isPending) return <SkeletonRows rows={6} />
  if (!principal.data)
    return <FailureView error={principal.error} what="the principal" onRetry={() => void principal.refetch()} />
  const { data } = principal
  return (
    <div className="grid gap-4 p-4">
      <div className="flex items-center gap-2.5">
        <StatusShape status={data.state === 'frozen' ? 'denied' : 'ok'} size={16} label={data.state} />
        <b className="text-s4 font-strong">{data.name}</b>
        <span className="ml-auto">
          <Freeze id={data.id} name={data.name} frozen={data.state === 'frozen'} />
        </span>
      </div>
      <Section title="Facts" className="px-0!">
        <KeyValues
          rows={[
            { name: 'kind', value: data.kind },
            { name: 'subject', value: data.subject, mono: true },
            { name: 'roles', value: data.roles.join(', ') || 'none' },
            { name: 'acts for', value: data.chain.map(({ name }) => name).join(' → ') || 'itself' },
            data.lastSeenAt !== null && { name: 'last seen', value: <Age at={data.lastSeenAt} suffix=" ago" /> },
          ]}
        />
      </Section>
      <Section title="Jobs under way" className="px-0!">
        <KeyValues
          rows={[
            { name: 'running', value: count(data.jobs.running) },
            { name: 'waiting', value: count(data.jobs.waiting) },
            { name: 'held', value: count(data.jobs.held) },
            { name: 'frozen', value: count(data.jobs.frozen) },
            { name: 'on its behalf', value: count(data.jobs.onBehalf) },
          ]}
        />
      </Section>
      {data.owns.length > 0 && (
        <Section title="Belongs to it" className="px-0!">
          <ul className="text-s2">
            {data.owns.map((each) => (
              <li key={each.id}>
                <button
                  type="button"
                  onClick={() => setUrl({ principal: each.id })}
                  className="flex w-full items-center gap-2 rounded-r1 px-1 py-1 text-left hover:bg-hover"
                >
                  <StatusShape status={each.state === 'frozen' ? 'denied' : 'ok'} size={12} label={each.state} />
                  <span className="truncate">{each.name}</span>
                  <span className="ml-auto text-ink-3">{each.kind}</span>
                </button>
              </li>
            ))}
          </ul>
        </Section>
      )}
    </div>
  )
}

function Freeze(props: { id: string; name: string; frozen: boolean }) {
  const { id, name, frozen } = props
  const freeze = useFreeze()
  const refusal = useRefusal()
  const off = refusal('native', 'POST', '/wheelhouse/api/v1/principals/{id}/freeze')
  const failed = 'Not changed'
  if (frozen) {
    return (
      <Button
        icon={Sun}
        off={off}
        busy={freeze.isPending}
        onClick={() =>
          void freeze
            .mutateAsync({ id, frozen: false })
            .then(() => toast({ status: 'ok', title: 'Acts again', text: name }), failureToast(failed))
        }
      >
        Thaw
      </Button>
    )
  }
  return (
    <ActButton
      button={
        <Button icon={Snowflake} tone="danger" off={off}>
          Freeze
        </Button>
      }
      off={off}
      label={`Freeze ${name}`}
      verb="Freeze"
      reach="some"
      consequences={{
        reach: {
          level: 2,
          words: <b>everything it does</b>,
          more: 'sessions, keys and connections end within a second',
        },
        undo: { level: 1, words: 'thaw: its waiting jobs go on' },
        cost: { level: 0, words: 'none' },
        data: { level: 2, words: 'its running jobs are cancelled' },
      }}
      run={() => freeze.mutateAsync({ id, frozen: true })}
      onDone={() => toast({ status: 'denied', title: 'Frozen', text: name })}
      failed={failed}
    />
  )
}
