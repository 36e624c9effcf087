import { useDecisions } from '../../api/jobs.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { instant, sentence } from '../../ui/age.ts'
import { JsonView } from '../../ui/code-block.tsx'
import { SkeletonRows } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { At } from '../../ui/time.tsx'
import { decisionState } from './job-state.ts'

/** Each answer of policy about a job, with what it was given and bound to. */
export function JobDecisions(props: { id: string }) {
  const decisions = useDecisions(props.id)
  if (decisions.isPending) return <SkeletonRows rows={3} />
  if (decisions.isError)
    return <FailureView error={decisions.error} what="the decisions" onRetry={() => void decisions.refetch()} />
  return (
    <div className="flex flex-col">
      {decisions.data.length === 0 && <p className="px-5 py-4 text-s2 text-ink-3">Policy has not looked at it yet.</p>}
      {decisions.data.map((decision, index) => {
        const { status, word } = decisionState(decision.decision)
        return (
          <section
            key={decision.checked_at ?? index}
            className="grid grid-cols-[minmax(0,1fr)] gap-x-4 gap-y-1 border-b border-line-1 px-5 py-3 text-s2 wide:grid-cols-[16px_170px_minmax(0,1fr)_auto]"
          >
            <StatusShape status={status} size={14} className="mt-0.5" />
            <h2 className="font-medium text-ink">{word}</h2>
            <div className="min-w-0 text-ink-2">
              {sentence(decision.reason) ||
                (decision.rule_id ? 'The rule gives no reason.' : 'No rule matched, so the default decided.')}
              {decision.rule_id && (
                <>
                  {' '}
                  Rule <span className="mono text-ink">{decision.rule_id}</span>.
                </>
              )}
              {decision.constraints && Object.keys(decision.constraints).length > 0 && (
                <div className="mt-2">
                  <JsonView label="Limits" value={decision.constraints} />
                </div>
              )}
              <p className="mt-1 text-s1 break-words text-ink-3">
                Snapshot <span className="mono">{decision.policy_snapshot ?? '–'}</span>
                {decision.job_hash && (
                  <>
                    , binds hash <span className="mono">{decision.job_hash.slice(0, 16)}…</span>
                  </>
                )}
              </p>
            </div>
            <At at={instant(decision.checked_at)} className="text-ink-3" />
          </section>
        )
      })}
    </div>
  )
}
