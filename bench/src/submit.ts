import type { Bare } from './bare.ts'
import type { Ground } from './ground.ts'
import { cpuMs, load, type Loaded } from './load.ts'
import { type Figure, ms, perSecond } from './report.ts'

const SECONDS = 8
const CONNECTIONS = 500

const submission = (n: number): string =>
  JSON.stringify({ prompt: `work ${n}`, topic: 'job.bench.submit', labels: { n: String(n % 100) } })

export interface Submitted {
  figures: Figure[]
  /** Microseconds of the server's CPU for one submit. */
  cpuUs: number
}

export async function submitFigures(ground: Ground, bare: Bare): Promise<Submitted> {
  const warm = { path: '/api/v1/jobs', method: 'POST', connections: 64, seconds: 3, body: submission } as const
  await load(ground.url, ground.apiKey, warm)
  const before = await cpuMs(ground)
  const ours = await checked(load(ground.url, ground.apiKey, { ...warm, connections: CONNECTIONS, seconds: SECONDS }))
  const cpuUs = (((await cpuMs(ground)) - before) * 1000) / (ours.perSecond * SECONDS)
  await load(bare.url, undefined, { ...warm, path: '/group' })
  const ceiling = await checked(
    load(bare.url, undefined, { ...warm, path: '/group', connections: CONNECTIONS, seconds: SECONDS }),
  )
  const single = await checked(
    load(bare.url, undefined, { ...warm, path: '/single', connections: CONNECTIONS, seconds: SECONDS }),
  )
  const raw = await bare.rawGroupCommit()
  const section = 'Durable submit'
  return {
    cpuUs,
    figures: [
      {
        section,
        name: `POST /api/v1/jobs, ${CONNECTIONS} callers (policy, decision, audit, event, queue)`,
        ours: `${perSecond(ours.perSecond)}, p50 ${ms(ours.p50Ms)}`,
        beside: `${perSecond(ceiling.perSecond)}, p50 ${ms(ceiling.p50Ms)}: bare group commit behind HTTP`,
        ratio: ours.perSecond / ceiling.perSecond,
        bar: { atLeast: 0.5 },
      },
      {
        section,
        name: 'the same against one row a request',
        ours: perSecond(ours.perSecond),
        beside: `${perSecond(single.perSecond)}: bare, a transaction each`,
        ratio: ours.perSecond / single.perSecond,
      },
      {
        section,
        name: 'the same against the database alone',
        ours: perSecond(ours.perSecond),
        beside: `${perSecond(raw)}: group commit without HTTP`,
        ratio: ours.perSecond / raw,
      },
      { section, name: 'CPU of the server for one submit', ours: `${cpuUs.toFixed(0)} µs`, beside: '' },
    ],
  }
}

async function checked(loaded: Promise<Loaded>): Promise<Loaded> {
  const result = await loaded
  if (result.failures > 0) throw new Error(`${result.failures} requests of the benchmark failed`)
  return result
}
