import type { MarketplacePack } from '@wheelhouse/contract/jobs/packs'
import { Download, Store } from 'lucide-react'
import { useInstallListed, useMarketplace } from '../../api/packs.ts'
import { ActButton } from '../../app/act-button.tsx'
import { useRefusal } from '../../app/allowed.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { Banner } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { EmptyState, SkeletonRows } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { toast } from '../../ui/toast.tsx'

const COLUMNS: readonly Column<MarketplacePack>[] = [
  {
    id: 'pack',
    head: 'Pack',
    narrow: 'name',
    cell: (pack) => (
      <span className="flex min-w-0 items-center gap-2">
        <StatusShape
          status={
            pack.installed_version === undefined ? 'off' : pack.installed_version === pack.version ? 'ok' : 'warning'
          }
          size={14}
          label={
            pack.installed_version === undefined
              ? 'not installed'
              : pack.installed_version === pack.version
                ? 'installed'
                : 'older version installed'
          }
        />
        <b className="truncate font-medium text-ink">{pack.title ?? pack.id}</b>
        <span className="truncate text-ink-3">{pack.description}</span>
      </span>
    ),
  },
  { id: 'version', head: 'Version', width: 130, narrow: 'place', cell: (pack) => <Versions pack={pack} /> },
  { id: 'author', head: 'Author', width: 150, from: 800, cell: (pack) => pack.author ?? '–' },
  {
    id: 'catalog',
    head: 'Catalogue',
    width: 150,
    from: 900,
    cell: (pack) => pack.catalog_title ?? pack.catalog_id ?? '–',
  },
  {
    id: 'risk',
    head: 'Risk',
    width: 150,
    from: 1000,
    cell: (pack) => (
      <span className="truncate">{pack.risk_tags?.join(', ') || <span className="text-ink-3">–</span>}</span>
    ),
  },
  { id: 'verbs', head: '', width: 110, right: true, cell: (pack) => <Install pack={pack} /> },
]

function Versions(props: { pack: MarketplacePack }) {
  const { version, installed_version: installed } = props.pack
  return (
    <span className="mono">
      {version}
      {installed !== undefined && installed !== version && <span className="text-ink-3"> has {installed}</span>}
    </span>
  )
}

/** What the catalogues of this tenant offer. */
export function Marketplace() {
  const market = useMarketplace(true)
  if (market.isPending) return <SkeletonRows rows={6} />
  if (!market.data)
    return <FailureView error={market.error} what="the marketplace" onRetry={() => void market.refetch()} />
  return (
    <>
      {market.data.catalogs
        .filter(({ error }) => error !== undefined)
        .map((catalog) => (
          <Banner key={catalog.id} edge status="warning" title={`${catalog.title ?? catalog.id} could not be read`}>
            {catalog.error}
          </Banner>
        ))}
      <DataTable
        label="Packs on offer"
        rows={market.data.items}
        rowId={(pack) => pack.id}
        columns={COLUMNS}
        serverSorted
        empty={
          <EmptyState icon={Store} title="No catalogue">
            A catalogue is an address that lists packs with their checksums. Add one to the configuration document{' '}
            <code className="mono">system/pack_catalogs</code>; nothing is fetched from anywhere before.
          </EmptyState>
        }
      />
    </>
  )
}

function Install(props: { pack: MarketplacePack }) {
  const { pack } = props
  const install = useInstallListed()
  const refusal = useRefusal()
  const upgrade = pack.installed_version !== undefined && pack.installed_status !== 'DISABLED'
  const off =
    refusal('jobs', 'POST', '/api/v1/marketplace/install') ??
    (pack.installed_version === pack.version && pack.installed_status !== 'DISABLED'
      ? 'This version is installed.'
      : undefined)
  const word = upgrade ? 'Upgrade' : 'Install'
  return (
    <ActButton
      button={
        <Button size="sm" icon={Download} off={off} busy={install.isPending}>
          {word}
        </Button>
      }
      off={off}
      label={`${word} ${pack.id}`}
      title={`${word} ${pack.id} ${pack.version}`}
      verb={word}
      reach="some"
      consequences={{
        reach: { level: 1, words: <b>its workflows, schemas and policy</b>, more: 'all of it, or nothing' },
        undo: { level: 1, words: 'uninstall' },
        cost: { level: 0, words: 'none' },
        data: { level: 0, words: 'none' },
      }}
      run={() => install.mutateAsync({ pack, upgrade, inactive: false })}
      onDone={() => toast({ status: 'ok', title: 'Installed', text: `${pack.id} ${pack.version}` })}
      failed="Not installed"
    />
  )
}
