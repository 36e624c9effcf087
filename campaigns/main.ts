// `npm run campaign -- kill --kills 50 --seed 1`: long tests of an installation of their own, by name.
import { parseArgs } from 'node:util'
import { killCampaign } from './kill.ts'
import { killReport } from './report.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
    'plain-worker': { type: 'boolean', default: false },
  },
})

if (positionals[0] !== 'kill') {
  console.error('Usage: npm run campaign -- kill [--kills 50] [--seed 1] [--plain-worker] [--keep]')
  process.exit(2)
}
const report = await killCampaign({
  kills: Number(values.kills),
  seed: Number(values.seed),
  keep: values.keep,
  plainWorker: values['plain-worker'],
  say: (line) => console.error(line),
})
console.log(killReport(report))
process.exit(report.findings.violations.length === 0 ? 0 : 1)
