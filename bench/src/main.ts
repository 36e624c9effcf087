import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { agentFigures } from './agents.ts'
import { startBare } from './bare.ts'
import { type Ground, layGround } from './ground.ts'
import { fairFigures } from './fair.ts'
import { flatFigures } from './flat.ts'
import { ingestFigures } from './ingest.ts'
import { jobLifeFigures } from './job-life.ts'
import { secondKernel } from './kernel.ts'
import { listFigures } from './lists.ts'
import { residentMib } from './load.ts'
import { policyFigures } from './policy.ts'
import { replicaFigures } from './replicas.ts'
import { type Figure, markdown } from './report.ts'
import { socketFigures } from './sockets.ts'
import { startFigures } from './start.ts'
import { submitFigures } from './submit.ts'
import { fanOutFigures, workflowFigures } from './workflows.ts'
import { whatIfFigures } from './what-if.ts'

const TABLE = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url))
const SECTIONS = [
  'submit',
  'job-life',
  'replicas',
  'workflows',
  'fan-out',
  'fair',
  'sockets',
  'ingest',
  'agents',
  'lists',
  'flat',
  'what-if',
]

/** Of the table's file: what people wrote about it, which stays. */
const PROSE = '## What limits them'

function proseOf(file: string): string {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  const from = text.indexOf(PROSE)
  return from < 0 ? '' : `\n${text.slice(from)}`
}

/** Where it counts how much is stored, nothing of other sections may be. */
async function onItsOwn(measure: (ground: Ground) => Promise<Figure[]>): Promise<Figure[]> {
  const ground = await layGround()
  return measure(ground).finally(() => ground.stop())
}

/** `npm run bench`: every section but two on one ground, then the table. `-- --only submit,job-life` runs some and writes nothing. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string' }, profile: { type: 'string' } } })
  const chosen = values.only?.split(',') ?? SECTIONS
  const began = performance.now()
  const ground = await layGround(values.profile)
  const figures: Figure[] = []
  const say = (text: string): void => void process.stderr.write(`› ${text}\n`)
  try {
    const fresh = await residentMib(ground)
    const bare = await startBare(ground)
    let submitCpuUs = 500
    /** One section that cannot be measured is said so in its place; the others go on. */
    const section = async (name: string, measure: () => Promise<Figure[]>): Promise<void> => {
      if (!chosen.includes(name)) return
      say(name)
      figures.push(
        ...(await measure().catch((error: unknown) => [
          {
            section: name,
            name: 'not measured in this run',
            ours: '',
            beside: '',
            note: `The run ended with: ${String(error)}`,
          },
        ])),
      )
    }
    await section('submit', async () => {
      const { figures: found, cpuUs } = await submitFigures(ground, bare)
      submitCpuUs = cpuUs
      return found
    })
    await section('job-life', () => jobLifeFigures(ground, bare))
    bare.stop()
    await section('replicas', () => replicaFigures(ground))
    await section('workflows', () => workflowFigures(ground))
    await section('fan-out', () => fanOutFigures(ground))
    await section('fair', () => fairFigures(ground))
    await section('sockets', () => socketFigures(ground))
    figures.push(...policyFigures(submitCpuUs))
    await section('ingest', async () => {
      const kernel = await secondKernel(ground)
      return ingestFigures(ground, kernel).finally(() => kernel.close())
    })
    await section('agents', () => agentFigures(ground, [1000, 10_000]))
    await section('lists', () => onItsOwn(listFigures))
    await section('flat', () => onItsOwn(flatFigures))
    await section('what-if', () => whatIfFigures(ground))
    figures.push(...(await startFigures(ground, fresh)))
    const { rows } = await ground.pool.query<{ version: string }>('select version()')
    const table = markdown(figures, {
      postgres: rows[0]?.version.split(' on ')[0] ?? 'PostgreSQL',
      nats: execFileSync('nats-server', ['--version'], { encoding: 'utf8' }).trim(),
      tookMs: performance.now() - began,
    })
    console.log(table)
    if (values.only === undefined) writeFileSync(TABLE, `${table.trimEnd()}\n${proseOf(TABLE)}`)
  } finally {
    await ground.stop()
  }
}

await main()
