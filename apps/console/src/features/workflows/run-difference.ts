import type { StepRun, WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { instant } from '../../ui/age.ts'

/** One step of two runs. */
export interface Pair {
  key: string
  left: StepRun | undefined
  right: StepRun | undefined
  /** What differs, in words. */
  differs: string[]
}

type Timed = Pick<WorkflowRun, 'steps' | 'started_at'>

/** The steps of two runs beside each other, in the order of time of the first, then of the second. */
export function pairsOf(left: Timed, right: Timed): Pair[] {
  // From the start of its own run: the runs themselves began at different times.
  const into = (run: Timed, key: string) => {
    const at = instant(run.steps?.[key]?.started_at)
    return at === undefined ? undefined : at - (instant(run.started_at) ?? at)
  }
  const began = (key: string) => into(left, key) ?? into(right, key) ?? Number.POSITIVE_INFINITY
  const keys = new Set([...Object.keys(left.steps ?? {}), ...Object.keys(right.steps ?? {})])
  return [...keys]
    .filter((key) => !key.includes('['))
    .toSorted((a, b) => (began(a) === began(b) ? 0 : began(a) - began(b)))
    .map((key) => {
      const [a, b] = [left.steps?.[key], right.steps?.[key]]
      return { key, left: a, right: b, differs: differencesOf(a, b) }
    })
}

/** In what two runs of a step differ. Times do not count: they always do. */
function differencesOf(a: StepRun | undefined, b: StepRun | undefined): string[] {
  if (!a || !b) return a === b ? [] : ['only in one']
  const same = (x: unknown, y: unknown) => JSON.stringify(x) === JSON.stringify(y)
  return [
    a.status !== b.status || a.skipped !== b.skipped ? 'state' : '',
    (a.attempts ?? 0) !== (b.attempts ?? 0) ? 'tries' : '',
    same(a.input, b.input) ? '' : 'input',
    same(a.output, b.output) ? '' : 'output',
    same(a.error?.message, b.error?.message) ? '' : 'error',
  ].filter((word) => word !== '')
}
