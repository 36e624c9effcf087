import { usePageName } from '../../app/crumbs.ts'
import { useUrlState } from '../../app/url-state.ts'
import { Page, PageHeader } from '../../ui/page.tsx'
import { Tabs, tabPanel } from '../../ui/tabs.tsx'
import { InstallPack } from './install-pack.tsx'
import { InstalledPacks } from './installed-packs.tsx'
import { Marketplace } from './marketplace.tsx'

const TABS = ['installed', 'marketplace'] as const
const WORDS = { installed: 'Installed', marketplace: 'Marketplace' }

/** Bundles of workflows, schemas, policy and configuration: what is installed, what there is. */
export function PacksPage() {
  usePageName({ label: 'Packs' })
  const [url, setUrl] = useUrlState()
  const tab = TABS.find((each) => each === url['tab']) ?? 'installed'
  return (
    <Page>
      <PageHeader title="Packs">
        <span className="ml-auto">
          <InstallPack />
        </span>
      </PageHeader>
      <Tabs
        id="packs"
        label="Parts of the packs"
        keys
        className="px-[7px] wide:px-[11px]"
        value={tab}
        onChange={(next) => setUrl({ tab: next === 'installed' ? undefined : next }, true)}
        tabs={TABS.map((value) => ({ value, label: WORDS[value] }))}
      />
      <div
        {...tabPanel('packs', tab)}
        className="flex min-h-0 flex-1 flex-col overflow-y-auto focus-visible:-outline-offset-2"
      >
        {tab === 'installed' ? <InstalledPacks /> : <Marketplace />}
      </div>
    </Page>
  )
}
