import { VICTIMS } from './installation.ts'
import type { KillReport, Recovery } from './kill.ts'

/** The value below which `share` of the values lie (nearest rank); undefined of none. */
export function percentile(values: readonly number[], share: number): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * share) - 1)]
}

const seconds = (ms: number | undefined): string => (ms === undefined ? '–' : `${(ms / 1000).toFixed(2)} s`)

/** The report as Markdown, for docs/reliability.md. */
export function killReport({
  seed,
  target,
  rate,
  probed,
  kills,
  overlapping,
  recoveries,
  abandonedStarts,
  seconds: took,
  findings,
}: KillReport): string {
  const total = Object.values(kills).reduce((sum, each) => sum + each, 0)
  const { jobs, held, repeatedJobs, commands, commandsGivenUp, changes, artifacts, runs, timersMs } = findings
  const { auditRows, eventRows, violations } = findings
  const cell = (of: readonly Recovery[], what: 'served' | 'job' | 'command'): string => {
    const values = of.flatMap((each) => each[what] ?? [])
    return `${seconds(percentile(values, 0.5))} / ${seconds(percentile(values, 0.95))}`
  }
  const rows = (target === 'any' ? [...VICTIMS, 'all' as const] : [target]).map((victim) => {
    const of = recoveries.filter((each) => victim === 'all' || each.victim === victim)
    return `| ${victim} | ${of.length} | ${cell(of, 'served')} | ${cell(of, 'job')} | ${cell(of, 'command')} |`
  })
  return [
    `Target ${target}${rate === undefined ? '' : `, ${rate} jobs a second`}. Seed ${seed}: ${total} kills in ${took} s (${VICTIMS.map((victim) => `${victim} ${kills[victim]}`).join(', ')}), ${overlapping} of them during the`,
    `recovery from another. ${jobs} jobs were acknowledged (${Math.round(jobs / took)} a second over the whole time, recoveries included), ${held} of them held for a decision; ${commands} commands ran; ${changes} changes and\n${artifacts} artifacts were acknowledged; ${runs} runs of a workflow ended with each child done once.`,
    '',
    '| Killed | undisturbed recoveries | reads again, p50 / p95 | jobs again | commands again |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    `- violations: ${violations.length}`,
    ...violations.slice(0, 50).map((each) => `  - ${each.slice(0, 400)}`),
    `- jobs whose effect a worker performed more than once (its protocol is at least once): ${repeatedJobs}`,
    `- commands reported as failed or lost (they run at most once): ${Object.values(commandsGivenUp).reduce((sum, each) => sum + each, 0)}`,
    ...Object.entries(commandsGivenUp).map(([why, count]) => `  - ${count}: ${why}`),
    `- starts that gave up because a child was killed under them: ${abandonedStarts}`,
    `- callers who asked all the time: ${probed.asked} requests, ${probed.answered} answered, ${probed.unavailable} told 503 with Retry-After, ` +
      `${probed.refused} found no server, the slowest answer took ${seconds(probed.slowestMs)}, none waited longer than 5 s unless listed above`,
    ...(timersMs.length === 0
      ? []
      : [
          `- ${timersMs.length} jobs that only time could end, and delays of runs: fired ${seconds(percentile(timersMs, 0.5))} / ${seconds(percentile(timersMs, 0.95))} / ` +
            `${seconds(percentile(timersMs, 1))} (p50 / p95 / most) after they could`,
        ]),
    `- rows of the trail ${auditRows}, events ${eventRows}, every chain recomputed from its first row`,
  ].join('\n')
}
