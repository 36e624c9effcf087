import { compilePolicy, evaluate } from '../../apps/server/src/kernel/policy/index.ts'
import { type Figure, median, us } from './report.ts'

const RULE_COUNTS = [10, 200, 1000]
const EVALUATIONS = 50_000

/** A policy of that many rules, of which the last matches. */
const policyOf = (rules: number): string =>
  [
    'version: bench',
    'rules:',
    ...Array.from({ length: rules }, (_, i) =>
      i === rules - 1
        ? `  - { id: last, match: { topics: ['job.bench.*'], risk_tags: [exec] }, decision: allow }`
        : `  - { id: r${i}, match: { topics: ['job.team${i}.*'], labels: { env: 'e${i}' } }, decision: deny, reason: no }`,
    ),
  ].join('\n')

/** Microseconds of one decision; `submitCpuUs` is the CPU time of one submit over HTTP, measured before. */
export function policyFigures(submitCpuUs: number): Figure[] {
  return RULE_COUNTS.map((count) => {
    const snapshot = compilePolicy([{ id: 'default', content: policyOf(count), enabled: true }])
    if (!snapshot) throw new Error('The policy of the benchmark does not compile')
    const rounds = Array.from({ length: 5 }, () => {
      const started = process.cpuUsage()
      for (let i = 0; i < EVALUATIONS; i += 1) {
        evaluate(snapshot, {
          topic: `job.bench.t${i % 50}`,
          tenant: 'default',
          labels: { env: `x${i % 7}` },
          meta: { riskTags: ['exec'] },
        })
      }
      return process.cpuUsage(started).user / EVALUATIONS
    })
    const each = median(rounds)
    return {
      section: 'Policy',
      name: `one decision, ${count} rules`,
      ours: us(each),
      beside: `${us(submitCpuUs)} CPU of one submit over HTTP`,
      ratio: each / submitCpuUs,
      ...(count === 200 ? { bar: { atMost: 0.02 } } : {}),
    }
  })
}
