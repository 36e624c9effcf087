import { usePageName } from '../../app/crumbs.ts'
import { useUrlState } from '../../app/url-state.ts'
import { Page, PageHeader } from '../../ui/page.tsx'
import { Tabs, tabPanel } from '../../ui/tabs.tsx'
import { HostsTab } from './hosts-tab.tsx'
import { KeysTab } from './keys-tab.tsx'
import { PrincipalsTab } from './principals-tab.tsx'
import { RolesTab } from './roles-tab.tsx'
import { UsersTab } from './users-tab.tsx'

const TABS = ['hosts', 'users', 'roles', 'principals', 'keys'] as const
type AdminTab = (typeof TABS)[number]
const WORDS: Record<AdminTab, string> = {
  hosts: 'Hosts',
  users: 'Users',
  roles: 'Roles',
  principals: 'Principals',
  keys: 'Your keys',
}

/** Who may do what, and how machines and programs join. */
export function AdminPage() {
  const [url, setUrl] = useUrlState()
  const tab = TABS.find((each) => each === url['tab']) ?? 'hosts'
  usePageName({ label: 'Admin' }, { label: WORDS[tab] })
  return (
    <Page>
      <PageHeader title="Admin" />
      <Tabs
        id="admin"
        label="Parts of the administration"
        keys
        className="px-[7px] wide:px-[11px]"
        value={tab}
        onChange={(next) => setUrl({ tab: next === 'hosts' ? undefined : next }, true)}
        tabs={TABS.map((value) => ({ value, label: WORDS[value] }))}
      />
      <div
        {...tabPanel('admin', tab)}
        className="flex min-h-0 flex-1 flex-col overflow-y-auto focus-visible:-outline-offset-2"
      >
        {tab === 'hosts' && <HostsTab />}
        {tab === 'users' && <UsersTab />}
        {tab === 'roles' && <RolesTab />}
        {tab === 'principals' && <PrincipalsTab />}
        {tab === 'keys' && <KeysTab />}
      </div>
    </Page>
  )
}
