import { useQuery } from '@tanstack/react-query'
import { failureOf } from '../../api/failure.ts'
import { simulate } from '../../api/policy.ts'
import { keys } from '../../api/keys.ts'
import { StatusShape } from '../../ui/status.tsx'
import { useSettled } from '../../ui/use-settled.ts'
import { decisionState } from '../jobs/job-state.ts'
import { decisionWord, saidOf } from './decision-words.ts'
import type { PolicyCase } from './policy-text.ts'

const PAUSE_MS = 500

/** The cases of the bundle, asked of the draft whenever it changes. */
export function TestsPanel(props: { id: string; text: string; cases: readonly PolicyCase[]; broken: boolean }) {
  const settled = useSettled(props.text, PAUSE_MS)
  const results = useQuery({
    queryKey: [...keys.policy, 'tests', props.id, settled],
    enabled: !props.broken && props.cases.length > 0 && settled === props.text,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: () =>
      Promise.all(
        props.cases.map((one) =>
          simulate(props.id, settled, one.request).then(
            (answer) => ({ said: saidOf(answer), rule: answer.ruleId, why: answer.reason }),
            (error: unknown) => ({ said: undefined, rule: '', why: failureOf(error).message }),
          ),
        ),
      ),
  })
  if (props.cases.length === 0) {
    return (
      <p className="p-4 text-s2 text-ink-3">
        Write cases under <code className="mono">tests:</code> in the bundle: a name, a request, and the decision to
        expect. They are asked here on every change, and travel with the bundle.
      </p>
    )
  }
  return (
    <ul aria-label="Tests" className="text-s2">
      {props.cases.map((one, index) => {
        const result = results.data?.[index]
        const right = result?.said === decisionWord(one.expect)
        return (
          <li key={`${one.name} ${index}`} className="flex items-start gap-2.5 border-b border-line-1 px-4 py-2.5">
            <StatusShape
              status={result === undefined ? 'unknown' : right ? 'ok' : 'failed'}
              size={14}
              label={result === undefined ? 'not asked yet' : right ? 'passes' : 'fails'}
              className="mt-0.5"
            />
            <span className="min-w-0">
              <b className="font-medium text-ink">{one.name}</b>
              {result && (
                <span className="block text-ink-2">
                  {result.said === undefined ? result.why : decisionState(result.said).word}
                  {result.rule && <span className="mono text-ink-3"> {result.rule}</span>}
                  {!right && result.said !== undefined && <> instead of {one.expect.replaceAll('_', ' ')}</>}
                </span>
              )}
            </span>
            <span className="num ml-auto whitespace-nowrap text-ink-3">line {one.line}</span>
          </li>
        )
      })}
    </ul>
  )
}
