import * as fc from 'fast-check'
import { MUST_SEE, playRun, type Seen as SeenRuns } from '../apps/server/src/kernel/workflows/run-model.ts'
import { runSpecs } from '../apps/server/src/kernel/workflows/run-model-plans.ts'
import { playApprovals } from '../apps/server/src/testing/models/approvals.ts'
import { playJobs } from '../apps/server/src/testing/models/jobs.ts'
import { playLocks } from '../apps/server/src/testing/models/locks.ts'
import { withWorld } from './world.ts'

export const SUBJECTS = ['run', 'job', 'approval', 'lock'] as const
export type Subject = (typeof SUBJECTS)[number]

export interface ModelReport {
  subject: Subject
  seed: number
  sequences: number
  seconds: number
  /** How often each transition and refusal was seen. */
  seen: ReadonlyMap<string, number>
  violations: string[]
}

/**
 * Plays random sequences of commands and holds every answer and every state against an independent model: runs of workflows in memory, the
 * others on a real PostgreSQL. A transition or refusal that was never seen is a violation from 2,000 sequences on.
 */
export async function modelCampaign(
  subject: Subject,
  options: { sequences: number; seed: number },
): Promise<ModelReport> {
  const began = Date.now()
  const { divergences, seen, wanted } = await PLAYS[subject](options)
  const unseen = options.sequences < 2000 ? [] : wanted.filter((what) => !seen.has(what))
  return {
    subject,
    ...options,
    seconds: Math.round((Date.now() - began) / 1000),
    seen,
    violations: [...divergences, ...unseen.map((what) => `never seen: ${what}`)],
  }
}

interface Played {
  divergences: string[]
  seen: ReadonlyMap<string, number>
  wanted: readonly string[]
}

const PLAYS: Readonly<Record<Subject, (options: { sequences: number; seed: number }) => Promise<Played>>> = {
  run({ sequences, seed }) {
    const seen: SeenRuns = new Map()
    const details = fc.check(
      fc.property(runSpecs, (spec) => playRun(spec, seen)),
      { numRuns: sequences, seed },
    )
    const divergences = details.failed ? [fc.defaultReportMessage(details) ?? 'a run diverged'] : []
    return Promise.resolve({ divergences, seen, wanted: MUST_SEE })
  },
  job: (options) =>
    withWorld({}, async (world) => {
      const { divergences, seen, wanted } = await playJobs(world, { ...options, lanes: 48 })
      return { divergences, seen: seen.counts, wanted }
    }),
  lock: (options) =>
    withWorld({}, async (world) => {
      const { divergences, seen, wanted } = await playLocks(world, { ...options, lanes: 6 })
      return { divergences, seen: seen.counts, wanted }
    }),
  approval: (options) =>
    withWorld({}, async (world) => {
      const { divergences, seen, wanted } = await playApprovals(world, options)
      return { divergences, seen: seen.counts, wanted }
    }),
}

/** The report as Markdown, for docs/reliability.md. */
export function modelReport({ subject, seed, sequences, seconds, seen, violations }: ModelReport): string {
  const counts = [...seen].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([what, count]) => `${what} ${count}`)
  return [
    `Model of ${subject}, seed ${seed}: ${sequences} sequences in ${seconds} s, ${seen.size} kinds of transitions and refusals seen.`,
    '',
    `- divergences: ${violations.length}`,
    ...violations.map((each) => `  - ${each.slice(0, 4000)}`),
    `- seen: ${counts.join('; ')}`,
  ].join('\n')
}
