import { ShieldCheck } from 'lucide-react'
import { useMemo, useState } from 'react'
import { usePolicyRules } from '../../api/policy.ts'
import type { Decision } from '../../api/wire.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { count } from '../../ui/age.ts'
import { Banner } from '../../ui/banner.tsx'
import { JsonView } from '../../ui/code-block.tsx'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { FilterBar } from '../../ui/filter-bar.tsx'
import { EMPTY_QUERY, formatQuery, matches, parseQuery } from '../../ui/filter-grammar.ts'
import { useNarrow } from '../../ui/measure.ts'
import { Sheet } from '../../ui/overlay.tsx'
import { EmptyState, NoMatchState, SkeletonRows } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { TableFoot } from '../../ui/table-foot.tsx'
import { decisionState } from '../jobs/job-state.ts'
import { decisionWord } from './decision-words.ts'

interface Rule {
  id?: string
  decision?: string
  reason?: string
  match?: Record<string, unknown>
  source?: { fragment_id?: string; pack_id?: string; enabled?: boolean }
}
interface Row {
  rule: Rule
  order: number
}

const rowId = (row: Row) => String(row.order)
const FIELDS = [
  { field: 'bundle', label: 'where it is written' },
  {
    field: 'decision',
    label: 'what it says',
    values: ['allow', 'deny', 'require_approval', 'throttle', 'allow_with_constraints'],
  },
]
const NAMES = FIELDS.map(({ field }) => field)

/** What a rule does, where a job says what was done to it. */
const SAYS: Record<Decision, string> = {
  ALLOW: 'Allows',
  ALLOW_WITH_CONSTRAINTS: 'Allows, with limits',
  REQUIRE_APPROVAL: 'Asks for an approval',
  THROTTLE: 'Lets it wait',
  DENY: 'Denies',
}

const COLUMNS: readonly Column<Row>[] = [
  { id: 'order', head: '#', width: 44, right: true, cell: ({ order }) => <span className="text-ink-3">{order}</span> },
  {
    id: 'rule',
    head: 'Rule',
    narrow: 'name',
    cell: ({ rule }) => {
      const { status, word } = decisionState(decisionWord(rule.decision ?? 'allow') as Decision)
      return (
        <span className="flex min-w-0 items-center gap-2">
          <StatusShape status={status} size={14} label={word} />
          <span className="mono min-w-0 truncate font-medium text-ink wide:max-w-[60%] wide:flex-none" title={rule.id}>
            {rule.id ?? 'unnamed'}
          </span>
          <span className="truncate text-ink-3 narrow:hidden" title={rule.reason}>
            {rule.reason}
          </span>
        </span>
      )
    },
  },
  {
    id: 'says',
    head: 'Says',
    width: 170,
    from: 700,
    cell: ({ rule }) => SAYS[decisionWord(rule.decision ?? 'allow') as Decision] ?? rule.decision,
  },
  {
    id: 'when',
    head: 'When',
    width: 300,
    from: 860,
    cell: ({ rule }) => (
      <span className="mono truncate text-ink-2" title={whenWords(rule.match)}>
        {whenWords(rule.match)}
      </span>
    ),
  },
  {
    id: 'bundle',
    head: 'Bundle',
    width: 220,
    narrow: 'place',
    from: 620,
    cell: ({ rule }) => <span className="mono truncate">{rule.source?.fragment_id ?? '–'}</span>,
  },
]

/** A match in a few words: `topics job.deploy.*, actor_types service`. */
function whenWords(match: Record<string, unknown> | undefined): string {
  const parts = Object.entries(match ?? {}).map(
    ([name, value]) => `${name} ${Array.isArray(value) ? value.join(' ') : JSON.stringify(value)}`,
  )
  return parts.length === 0 ? 'always' : parts.join(', ')
}

/** Every rule in the order in which they are asked; the first that matches decides. */
export function RuleList() {
  const [url, setUrl] = useUrlState()
  const rules = usePolicyRules()
  const narrow = useNarrow()
  const [shown, setShown] = useState<Rule>()
  const query = useMemo(() => parseQuery(url['q'] ?? '', NAMES), [url])
  const all = useMemo(
    () => (rules.data?.items ?? []).map((rule, index): Row => ({ rule: rule as Rule, order: index + 1 })),
    [rules.data],
  )
  const rows = useMemo(
    () =>
      all.filter(({ rule }) =>
        matches(
          query,
          (field) => ({ bundle: rule.source?.fragment_id, decision: rule.decision })[field],
          () => `${rule.id} ${rule.reason} ${whenWords(rule.match)}`,
        ),
      ),
    [all, query],
  )
  if (rules.isPending) return <SkeletonRows rows={8} />
  if (!rules.data) return <FailureView error={rules.error} what="the rules" onRetry={() => void rules.refetch()} />
  const asked = query.terms.length + (query.text ? 1 : 0)
  return (
    <>
      {(rules.data.errors ?? []).map((each) => (
        <Banner key={each.fragment_id} edge status="failed" title={`${each.fragment_id} cannot be read`}>
          {each.error}
        </Banner>
      ))}
      <div className="flex flex-none px-4 py-2 wide:px-5">
        <FilterBar
          label="Filter rules"
          query={query}
          onChange={(next) => setUrl({ q: formatQuery(next, NAMES) })}
          fields={FIELDS}
          placeholder="Filter by bundle, decision, words"
        />
      </div>
      <DataTable
        label="Rules"
        rows={rows}
        rowId={rowId}
        columns={COLUMNS}
        serverSorted
        onOpen={({ rule }) => setShown(rule)}
        empty={
          asked > 0 ? (
            <NoMatchState what="rule" filters={asked} onClear={() => setUrl({ q: formatQuery(EMPTY_QUERY, NAMES) })} />
          ) : (
            <EmptyState icon={ShieldCheck} title="No rules">
              Without a rule the default above decides alone. Write the first one in the studio.
            </EmptyState>
          )
        }
      />
      <TableFoot
        count={`${count(rows.length)} of ${count(all.length)}`}
        fresh={rules.dataUpdatedAt}
        keys={[['enter', 'open']]}
      />
      <Sheet
        open={shown !== undefined}
        onOpenChange={(open) => !open && setShown(undefined)}
        title={shown?.id ?? 'Rule'}
        side={narrow ? 'bottom' : 'right'}
        width={520}
      >
        <div className="p-4">
          <JsonView label="Rule" value={shown} maxHeight={640} />
        </div>
      </Sheet>
    </>
  )
}
