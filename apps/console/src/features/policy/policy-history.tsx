import { History, Undo2 } from 'lucide-react'
import { usePolicyHistory, useRollback } from '../../api/policy.ts'
import { ActButton } from '../../app/act-button.tsx'
import { useRefusal } from '../../app/allowed.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { Button } from '../../ui/button.tsx'
import { Feed } from '../../ui/feed.tsx'
import { Section } from '../../ui/page.tsx'
import { EmptyState, SkeletonRows } from '../../ui/states.tsx'
import { At } from '../../ui/time.tsx'
import { toast } from '../../ui/toast.tsx'

const ACTS = {
  publish: { words: 'published', status: 'ok' },
  rollback: { words: 'rolled back', status: 'warning' },
  update: { words: 'edited', status: 'off' },
  capture: { words: 'copied the set', status: 'off' },
  settings: { words: 'changed the default', status: 'warning' },
} as const

/** Two parts side by side, without the lines of parts under each other. */
const FLUSH = 'min-w-0 border-b-0! px-0! py-0!'

/** Who changed policy, and the copies that can be gone back to. */
export function PolicyHistory() {
  const history = usePolicyHistory()
  if (history.isPending) return <SkeletonRows rows={8} />
  if (!history.data)
    return <FailureView error={history.error} what="the history" onRetry={() => void history.refetch()} />
  const { audit, snapshots } = history.data
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-5 p-4 wide:p-5 roomy:grid-cols-[minmax(0,1fr)_420px]">
      <Section title="Changes" className={FLUSH}>
        {audit.length === 0 ? (
          <EmptyState icon={History} title="Nothing was changed yet">
            Every publication, rollback and edit stands here and in the trail.
          </EmptyState>
        ) : (
          <Feed
            label="Changes of policy"
            entries={audit.map((entry) => ({
              id: entry.id,
              at: entry.created_at,
              status: ACTS[entry.action].status,
              words: (
                <>
                  <b>{entry.actor_id ?? 'Somebody'}</b> {ACTS[entry.action].words}{' '}
                  <span className="mono">{entry.bundle_ids?.join(', ')}</span>{' '}
                  {entry.message && <span className="text-ink-2">“{entry.message}”</span>}
                </>
              ),
            }))}
          />
        )}
      </Section>
      <Section title="Copies of the whole set" className={FLUSH}>
        {snapshots.length === 0 ? (
          <p className="text-s2 text-ink-3">
            A copy is made before and after each publication; the newest ten are kept.
          </p>
        ) : (
          <ul className="rounded-r2 border border-line-1 text-s2">
            {snapshots.map((snapshot) => (
              <li
                key={snapshot.id}
                className="flex items-center gap-2.5 border-b border-line-1 px-3 py-2 last:border-b-0"
              >
                <span className="min-w-0">
                  <At at={snapshot.created_at} className="text-ink" />
                  <span className="mono block truncate text-s1 text-ink-3">
                    {snapshot.id.slice(-10)} {snapshot.note || copyWords(snapshot.id, audit)}
                  </span>
                </span>
                <span className="ml-auto">
                  <RollBack id={snapshot.id} />
                </span>
              </li>
            ))}
          </ul>
        )}
      </Section>
    </div>
  )
}

/** Of which change a copy is the before or the after. */
function copyWords(
  id: string,
  audit: readonly { action: string; snapshot_before?: string; snapshot_after?: string; message?: string }[],
): string {
  const before = audit.find((entry) => entry.snapshot_before === id)
  const after = audit.find((entry) => entry.snapshot_after === id)
  const of = (entry: { action: string; message?: string }) =>
    entry.message ? `“${entry.message}”` : `the ${entry.action}`
  if (after) return `after ${of(after)}`
  return before ? `before ${of(before)}` : ''
}

function RollBack(props: { id: string }) {
  const rollback = useRollback()
  const refusal = useRefusal()
  const off = refusal('jobs', 'POST', '/api/v1/policy/rollback')
  return (
    <ActButton
      button={
        <Button size="sm" icon={Undo2} off={off}>
          Roll back
        </Button>
      }
      off={off}
      label="Roll back to this copy"
      verb="Roll back"
      reach="many"
      consequences={{
        reach: { level: 2, words: <b>the whole set</b>, more: 'fragments of packs included' },
        undo: { level: 1, words: 'a copy of now is kept' },
        cost: { level: 0, words: 'none' },
        data: { level: 0, words: 'none' },
      }}
      run={() => rollback.mutateAsync(props.id)}
      onDone={() => toast({ status: 'ok', title: 'Rolled back', text: 'In force at once' })}
      failed="Not rolled back"
    />
  )
}
