import { Link } from '@tanstack/react-router'
import type { PackRecord } from '@wheelhouse/contract/jobs/packs'
import { Package, ShieldCheck, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { failureOf } from '../../api/failure.ts'
import { usePacks, useUninstall, useVerifyPack } from '../../api/packs.ts'
import { ActButton } from '../../app/act-button.tsx'
import { useRefusal } from '../../app/allowed.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { Button } from '../../ui/button.tsx'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { Checkbox } from '../../ui/form.tsx'
import { useNarrow } from '../../ui/measure.ts'
import { Sheet } from '../../ui/overlay.tsx'
import { KeyValues, Section } from '../../ui/page.tsx'
import { EmptyState, SkeletonRows } from '../../ui/states.tsx'
import { StatusShape, type Status } from '../../ui/status.tsx'
import { Age } from '../../ui/time.tsx'
import { toast } from '../../ui/toast.tsx'

const STATES: Record<PackRecord['status'], { status: Status; word: string }> = {
  ACTIVE: { status: 'ok', word: 'Active' },
  INACTIVE: { status: 'off', word: 'Without routing' },
  DISABLED: { status: 'off', word: 'Uninstalled' },
}

const SIGNED = {
  verified: 'signed by a trusted key',
  unsigned: 'not signed',
  untrusted: 'signed by an unknown key',
} as const

const COLUMNS: readonly Column<PackRecord>[] = [
  {
    id: 'pack',
    head: 'Pack',
    narrow: 'name',
    cell: (pack) => (
      <span className="flex min-w-0 items-center gap-2">
        <StatusShape status={STATES[pack.status].status} size={14} label={STATES[pack.status].word} />
        <Link
          to="/packs"
          search={{ pack: pack.id }}
          className="truncate font-medium text-ink hover:underline hover:underline-offset-3"
        >
          {pack.manifest.metadata.title || pack.id}
        </Link>
        <span className="mono text-ink-3">{pack.id}</span>
        {pack.status !== 'ACTIVE' && <span className="text-s1 text-ink-2">{STATES[pack.status].word}</span>}
      </span>
    ),
  },
  {
    id: 'version',
    head: 'Version',
    width: 100,
    narrow: 'place',
    cell: (pack) => <span className="mono">{pack.version}</span>,
  },
  {
    id: 'signature',
    head: 'Signature',
    width: 190,
    from: 760,
    cell: (pack) => (
      <span className="inline-flex items-center gap-1.5">
        {pack.signature?.state === 'verified' && <StatusShape status="ok" size={12} />}
        {pack.signature?.state === 'untrusted' && <StatusShape status="warning" size={12} />}
        {SIGNED[pack.signature?.state ?? 'unsigned']}
      </span>
    ),
  },
  {
    id: 'brings',
    head: 'Brings',
    width: 240,
    from: 900,
    cell: (pack) => <span className="truncate">{bringsWords(pack)}</span>,
  },
  { id: 'by', head: 'Installed by', width: 190, from: 1000, cell: (pack) => pack.installed_by ?? '–' },
  {
    id: 'at',
    head: 'Installed',
    width: 92,
    right: true,
    narrow: 'end',
    cell: (pack) => <Age at={pack.installed_at} />,
  },
]

function bringsWords(pack: PackRecord): string {
  const parts = [
    [Object.keys(pack.resources.workflows ?? {}).length, 'workflow'],
    [Object.keys(pack.resources.schemas ?? {}).length, 'schema'],
    [pack.overlays.policy?.length ?? 0, 'policy'],
    [pack.overlays.config?.length ?? 0, 'setting'],
  ] as const
  return parts
    .filter(([many]) => many > 0)
    .map(([many, word]) => `${many} ${word}${many > 1 ? (word === 'policy' ? '' : 's') : ''}`)
    .join(', ')
}

export function InstalledPacks() {
  const packs = usePacks()
  const [url, setUrl] = useUrlState()
  const narrow = useNarrow()
  if (packs.isPending) return <SkeletonRows rows={6} />
  if (!packs.data) return <FailureView error={packs.error} what="the packs" onRetry={() => void packs.refetch()} />
  const shown = packs.data.items.find(({ id }) => id === url['pack'])
  return (
    <>
      <DataTable
        label="Installed packs"
        rows={packs.data.items}
        rowId={(pack) => pack.id}
        columns={COLUMNS}
        serverSorted
        onOpen={(pack) => setUrl({ pack: pack.id })}
        empty={
          <EmptyState icon={Package} title="No packs">
            A pack brings workflows, schemas, policy and configuration in one file. Install one, or look into the
            marketplace.
          </EmptyState>
        }
      />
      <Sheet
        open={shown !== undefined}
        onOpenChange={(open) => !open && setUrl({ pack: undefined })}
        title={shown ? shown.manifest.metadata.title || shown.id : 'Pack'}
        side={narrow ? 'bottom' : 'right'}
        width={520}
      >
        {shown && <PackSheet pack={shown} onGone={() => setUrl({ pack: undefined })} />}
      </Sheet>
    </>
  )
}

function PackSheet(props: { pack: PackRecord; onGone: () => void }) {
  const { pack } = props
  const verify = useVerifyPack()
  const refusal = useRefusal()
  const workflows = Object.keys(pack.resources.workflows ?? {})
  return (
    <div className="grid gap-4 p-4">
      <p className="text-s2 text-ink-2">{pack.manifest.metadata.description}</p>
      <div className="flex flex-wrap gap-2">
        <Button
          icon={ShieldCheck}
          off={
            refusal('jobs', 'POST', '/api/v1/packs/{id}/verify') ??
            (pack.status === 'DISABLED' && 'It is not installed.')
          }
          busy={verify.isPending}
          onClick={() => verify.mutate(pack.id)}
        >
          Verify
        </Button>
        <Uninstall pack={pack} onGone={props.onGone} />
      </div>
      {verify.data && (
        <ul aria-label="Results" className="rounded-r2 border border-line-1 text-s2">
          {verify.data.results.map((result) => (
            <li key={result.name} className="flex items-start gap-2 border-b border-line-1 px-3 py-1.5 last:border-b-0">
              <StatusShape
                status={result.ok ? 'ok' : 'failed'}
                size={14}
                label={result.ok ? 'as it must be' : 'differs'}
                className="mt-0.5"
              />
              <span>
                {result.name}
                {!result.ok && (
                  <span className="block text-ink-2">
                    {result.got} instead of {result.expected}. {result.reason}
                  </span>
                )}
              </span>
            </li>
          ))}
          {verify.data.results.length === 0 && <li className="px-3 py-1.5 text-ink-3">It brings no tests.</li>}
        </ul>
      )}
      {verify.error && <p className="text-s2 text-failed-text">{failureOf(verify.error).message}</p>}
      <Section title="Workflows" className="border-b-0! px-0! py-0!">
        {workflows.length === 0 && <p className="text-s2 text-ink-3">none</p>}
        <ul className="text-s2">
          {workflows.map((id) => (
            <li key={id}>
              <Link to="/workflows/$id" params={{ id }} className="mono text-accent-text hover:underline">
                {id}
              </Link>
            </li>
          ))}
        </ul>
      </Section>
      <Section title="Facts" className="px-0! py-0!">
        <KeyValues
          rows={[
            { name: 'version', value: pack.version, mono: true },
            { name: 'signature', value: SIGNED[pack.signature?.state ?? 'unsigned'] },
            pack.signature?.key_id !== undefined && { name: 'key', value: pack.signature.key_id, mono: true },
            pack.sha256 !== undefined && { name: 'sha256', value: pack.sha256, mono: true },
            { name: 'schemas', value: Object.keys(pack.resources.schemas ?? {}).join(', ') || 'none', mono: true },
            {
              name: 'policy',
              value: pack.overlays.policy?.map(({ fragment_id: id }) => id).join(', ') || 'none',
              mono: true,
            },
            { name: 'settings', value: pack.overlays.config?.map(({ key }) => key).join(', ') || 'none', mono: true },
            { name: 'topics', value: pack.manifest.topics?.map(({ name }) => name).join(', ') || 'none', mono: true },
          ]}
        />
      </Section>
    </div>
  )
}

function Uninstall(props: { pack: PackRecord; onGone: () => void }) {
  const { pack } = props
  const uninstall = useUninstall()
  const refusal = useRefusal()
  const [purge, setPurge] = useState(false)
  const off =
    refusal('jobs', 'POST', '/api/v1/packs/{id}/uninstall') ??
    (pack.status === 'DISABLED' ? 'It is not installed.' : undefined)
  return (
    <ActButton
      button={
        <Button icon={Trash2} tone="danger" off={off}>
          Uninstall
        </Button>
      }
      off={off}
      label={`Uninstall ${pack.id}`}
      verb="Uninstall"
      reach="some"
      consequences={{
        reach: { level: 2, words: <b>{bringsWords(pack)}</b>, more: 'later jobs of its topics find no worker' },
        undo: { level: 1, words: 'install it again' },
        cost: { level: 0, words: 'none' },
        data: { level: 1, words: purge ? 'its workflows and schemas go' : 'its workflows and schemas stay' },
      }}
      run={() => uninstall.mutateAsync({ id: pack.id, purge })}
      onDone={() => {
        toast({ status: 'off', title: 'Uninstalled', text: pack.id })
        props.onGone()
      }}
      failed="Not uninstalled"
    >
      <Checkbox checked={purge} onChange={setPurge} label="Remove its workflows and schemas too" className="mb-2" />
    </ActButton>
  )
}
