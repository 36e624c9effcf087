// `npm run campaign -- NAME [--seed 1] …`: long tests by name. Each prints its figures and ends with 1 where one of them is not what it must be.
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    attempts: { type: 'string', default: '10000' },
    subject: { type: 'string', default: 'run' },
    sequences: { type: 'string', default: '10000' },
    share: { type: 'string', default: '1' },
    runs: { type: 'string', default: '40' },
    only: { type: 'string', default: '' },
    turns: { type: 'string', default: '20' },
    target: { type: 'string', default: 'any' },
    rate: { type: 'string' },
    minutes: { type: 'string', default: '18' },
    kills: { type: 'string', default: '50' },
    keep: { type: 'boolean', default: false },
    'plain-worker': { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed)
const say = (line: string): void => console.error(line)
const installed = { seed, keep: values.keep, plainWorker: values['plain-worker'], say }

interface Outcome {
  report: string
  violations: readonly string[]
}

/** Each is loaded alone: those with a world in this process read times from PostgreSQL as the server does, the others as they are. */
const CAMPAIGNS: Readonly<Record<string, { usage: string; run(): Promise<Outcome> }>> = {
  kill: {
    usage:
      '[--kills 50] [--target any|server|postgres|nats|agent|together] [--rate 300] [--minutes 18] [--plain-worker] [--keep]',
    async run() {
      const [{ killCampaign, TARGETS }, { killReport }] = [await import('./kill.ts'), await import('./report.ts')]
      const target = TARGETS.find((each) => each === values.target)
      if (!target) throw new Error(`There is no target ${values.target}; there are ${TARGETS.join(', ')}`)
      const rate = values.rate === undefined ? {} : { rate: Number(values.rate) }
      const [kills, minutes] = [Number(values.kills), Number(values.minutes)]
      const report = await killCampaign({ ...installed, kills, minutes, target, ...rate })
      return { report: killReport(report), violations: report.findings.violations }
    },
  },
  'store-damage': {
    usage: '[--turns 20] [--plain-worker] [--keep]',
    async run() {
      const { damageCampaign, damageReport } = await import('./store-damage.ts')
      const report = await damageCampaign({ ...installed, turns: Number(values.turns) })
      return { report: damageReport(report), violations: report.findings.violations }
    },
  },
  fuzz: {
    usage: '[--runs 40] [--only PATH]',
    async run() {
      const { fuzzCampaign, fuzzReport } = await import('./fuzz.ts')
      const report = await fuzzCampaign({ runs: Number(values.runs), only: values.only, seed, say })
      return { report: fuzzReport(report), violations: report.violations }
    },
  },
  authorization: {
    usage: '[--share 1]',
    async run() {
      const { matrixCampaign, matrixReport } = await import('./authorization.ts')
      const report = await matrixCampaign({ share: Number(values.share), seed, say })
      return { report: matrixReport(report), violations: report.violations }
    },
  },
  model: {
    usage: '[--subject run|job|approval|lock] [--sequences 10000]',
    async run() {
      const { modelCampaign, modelReport, SUBJECTS } = await import('./model.ts')
      const subject = SUBJECTS.find((each) => each === values.subject)
      if (!subject) throw new Error(`There is no subject ${values.subject}; there are ${SUBJECTS.join(', ')}`)
      const report = await modelCampaign(subject, { sequences: Number(values.sequences), seed })
      return { report: modelReport(report), violations: report.violations }
    },
  },
  'approval-integrity': {
    usage: '[--attempts 10000]',
    async run() {
      const { integrityCampaign, integrityReport } = await import('./approval-integrity.ts')
      const report = await integrityCampaign({ attempts: Number(values.attempts), seed, say })
      return { report: integrityReport(report), violations: report.violations }
    },
  },
}

const chosen = CAMPAIGNS[positionals[0] ?? '']
if (!chosen) {
  console.error('Usage: npm run campaign -- NAME [--seed 1] …')
  for (const [name, { usage }] of Object.entries(CAMPAIGNS)) console.error(`  ${name} ${usage}`)
  process.exit(2)
}
const { report, violations } = await chosen.run()
console.log(report)
process.exit(violations.length === 0 ? 0 : 1)
