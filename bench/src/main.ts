import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { agentFigures } from './agents.ts'
import { startBare } from './bare.ts'
import { layGround } from './ground.ts'
import { ingestFigures } from './ingest.ts'
import { jobLifeFigures } from './job-life.ts'
import { secondKernel } from './kernel.ts'
import { listFigures } from './lists.ts'
import { residentMib } from './load.ts'
import { policyFigures } from './policy.ts'
import { type Figure, markdown } from './report.ts'
import { startFigures } from './start.ts'
import { submitFigures } from './submit.ts'

const TABLE = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url))
const SECTIONS = ['submit', 'job-life', 'ingest', 'agents', 'lists'] as const

/** `npm run bench`: every section on one ground, then the table. `-- --only submit,job-life` runs some and writes nothing. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string' } } })
  const chosen = values.only?.split(',') ?? [...SECTIONS]
  const began = performance.now()
  const ground = await layGround()
  const figures: Figure[] = []
  const say = (text: string): void => void process.stderr.write(`› ${text}\n`)
  try {
    const fresh = await residentMib(ground)
    const bare = await startBare(ground)
    let submitCpuUs = 500
    if (chosen.includes('submit')) {
      say('durable submit')
      const { figures: found, cpuUs } = await submitFigures(ground, bare)
      figures.push(...found)
      submitCpuUs = cpuUs
    }
    if (chosen.includes('job-life')) {
      say('job life')
      figures.push(...(await jobLifeFigures(ground, bare)))
    }
    bare.stop()
    say('policy')
    figures.push(...policyFigures(submitCpuUs))
    if (chosen.includes('ingest')) {
      say('telemetry')
      const kernel = await secondKernel(ground)
      figures.push(...(await ingestFigures(ground, kernel)))
      await kernel.close()
    }
    if (chosen.includes('agents')) {
      say('idle agents')
      figures.push(...(await agentFigures(ground, [1000, 10_000])))
    }
    if (chosen.includes('lists')) {
      say('lists at a million rows')
      figures.push(...(await listFigures(ground)))
    }
    figures.push(...(await startFigures(ground, fresh)))
    const { rows } = await ground.pool.query<{ version: string }>('select version()')
    const table = markdown(figures, {
      postgres: rows[0]?.version.split(' on ')[0] ?? 'PostgreSQL',
      nats: execFileSync('nats-server', ['--version'], { encoding: 'utf8' }).trim(),
      tookMs: performance.now() - began,
    })
    console.log(table)
    if (values.only === undefined) writeFileSync(TABLE, `${table}\n`)
  } finally {
    await ground.stop()
  }
}

await main()
