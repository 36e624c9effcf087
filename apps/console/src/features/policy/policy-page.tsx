import { lazy, Suspense } from 'react'
import { usePolicySettings, useSetDefaultDecision, type PolicySettings } from '../../api/policy.ts'
import { useRefusal } from '../../app/allowed.ts'
import { failureToast } from '../../app/failure-toast.ts'
import { usePageName } from '../../app/crumbs.ts'
import { useUrlState } from '../../app/url-state.ts'
import { Banner } from '../../ui/banner.tsx'
import { Select } from '../../ui/form.tsx'
import { Page, PageHeader } from '../../ui/page.tsx'
import { SkeletonRows } from '../../ui/states.tsx'
import { Tabs, tabPanel } from '../../ui/tabs.tsx'
import { toast } from '../../ui/toast.tsx'
import { PolicyHistory } from './policy-history.tsx'
import { RuleList } from './rule-list.tsx'

// What reads YAML comes with the studio.
const BundleStudio = lazy(() => import('./bundle-studio.tsx').then((module) => ({ default: module.BundleStudio })))

const TABS = ['rules', 'studio', 'history'] as const
const WORDS = { rules: 'Rules in force', studio: 'Studio', history: 'History' }

/** What would this rule have done? */
export function PolicyPage() {
  usePageName({ label: 'Policy' })
  const [url, setUrl] = useUrlState()
  const settings = usePolicySettings()
  const tab = TABS.find((each) => each === url['tab']) ?? 'rules'
  return (
    <Page>
      <PageHeader title="Policy">
        {settings.data && (
          <span className="mono truncate text-s1 text-ink-3 narrow:hidden" title={settings.data.snapshot}>
            {settings.data.snapshot === '' ? 'nothing in force' : `snapshot ${settings.data.snapshot.slice(-8)}`}
          </span>
        )}
        <span className="ml-auto flex items-center gap-2">
          <span className="text-s2 text-ink-2">Where no rule matches</span>
          <DefaultDecision settings={settings.data} />
        </span>
      </PageHeader>
      {settings.data?.snapshot === '' && (
        <Banner edge status="waiting" title="No policy is in force">
          Jobs wait until one is: nothing is allowed unseen, and nothing is denied for want of a policy.
        </Banner>
      )}
      {settings.data?.problem && (
        <Banner edge status="warning" title="The newest bundles are not in force">
          {settings.data.problem}
        </Banner>
      )}
      <Tabs
        id="policy"
        label="Parts of policy"
        keys
        className="px-[7px] wide:px-[11px]"
        value={tab}
        onChange={(next) => setUrl({ tab: next === 'rules' ? undefined : next }, true)}
        tabs={TABS.map((value) => ({ value, label: WORDS[value] }))}
      />
      <div
        {...tabPanel('policy', tab)}
        className="flex min-h-0 flex-1 flex-col overflow-y-auto focus-visible:-outline-offset-2"
      >
        {tab === 'rules' && <RuleList />}
        {tab === 'studio' && (
          <Suspense fallback={<SkeletonRows rows={8} />}>
            <BundleStudio />
          </Suspense>
        )}
        {tab === 'history' && <PolicyHistory />}
      </div>
    </Page>
  )
}

function DefaultDecision(props: { settings: PolicySettings | undefined }) {
  const refusal = useRefusal()
  const set = useSetDefaultDecision()
  const refused = refusal('native', 'PUT', '/wheelhouse/api/v1/policy/settings')
  if (!props.settings) return null
  const { defaultDecision, setBy } = props.settings
  const words = { allow: 'Allow', deny: 'Deny', require_approval: 'Ask for approval' }
  if (refused) return <b className="font-medium">{words[defaultDecision]}</b>
  return (
    <Select
      label="Where no rule matches"
      size="sm"
      value={defaultDecision}
      onChange={(next) =>
        void set
          .mutateAsync(next)
          .then(
            () =>
              toast({ status: 'ok', title: 'In force', text: `Where no rule matches: ${words[next].toLowerCase()}` }),
            failureToast('Not changed'),
          )
      }
      options={(['allow', 'require_approval', 'deny'] as const).map((value) => ({
        value,
        label: words[value],
        ...(value === defaultDecision && setBy !== '' ? { hint: `set by ${setBy}` } : {}),
      }))}
    />
  )
}
