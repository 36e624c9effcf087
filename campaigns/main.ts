// `npm run campaign -- NAME [--seed 1] …`: long tests by name. Each prints its figures and ends with 1 where one of them is not what it must be.
import { parseArgs } from 'node:util'
import { integrityCampaign, integrityReport } from './approval-integrity.ts'
import { matrixCampaign, matrixReport } from './authorization.ts'
import { fuzzCampaign, fuzzReport } from './fuzz.ts'
import { killCampaign } from './kill.ts'
import { killReport } from './report.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '40' },
    only: { type: 'string', default: '' },
    share: { type: 'string', default: '1' },
    attempts: { type: 'string', default: '10000' },
    kills: { type: 'string', default: '50' },
    keep: { type: 'boolean', default: false },
    'plain-worker': { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed)
const say = (line: string): void => console.error(line)

interface Outcome {
  report: string
  violations: readonly string[]
}

const CAMPAIGNS: Readonly<Record<string, { usage: string; run(): Promise<Outcome> }>> = {
  kill: {
    usage: '[--kills 50] [--plain-worker] [--keep]',
    async run() {
      const { keep } = values
      const options = { kills: Number(values.kills), seed, keep, plainWorker: values['plain-worker'], say }
      const report = await killCampaign(options)
      return { report: killReport(report), violations: report.findings.violations }
    },
  },
  fuzz: {
    usage: '[--runs 40] [--only PATH]',
    async run() {
      const report = await fuzzCampaign({ runs: Number(values.runs), only: values.only, seed, say })
      return { report: fuzzReport(report), violations: report.violations }
    },
  },
  authorization: {
    usage: '[--share 1]',
    async run() {
      const report = await matrixCampaign({ share: Number(values.share), seed, say })
      return { report: matrixReport(report), violations: report.violations }
    },
  },
  'approval-integrity': {
    usage: '[--attempts 10000]',
    async run() {
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
