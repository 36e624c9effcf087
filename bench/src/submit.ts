import type { Bare } from './bare.ts'
import type { Ground } from './ground.ts'
import { grpcFigures } from './grpc.ts'
import { load, type Loaded, perThing, used, usedText } from './load.ts'
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
  const before = await used(ground)
  const ours = await checked(load(ground.url, ground.apiKey, { ...warm, connections: CONNECTIONS, seconds: SECONDS }))
  const cpu = perThing(before, await used(ground), ours.perSecond * SECONDS)
  const measure = async (path: string): Promise<Loaded> => {
    await load(bare.url, undefined, { ...warm, path, seconds: 1 })
    return checked(load(bare.url, undefined, { ...warm, path, connections: CONNECTIONS, seconds: SECONDS }))
  }
  const ceiling = await measure('/rows')
  const narrow = await measure('/group')
  const single = await measure('/single')
  const raw = await bare.rawGroupCommit()
  const section = 'Durable submit'
  return {
    cpuUs: cpu.server,
    figures: [
      {
        section,
        name: `POST /api/v1/jobs, ${CONNECTIONS} callers (policy, decision, audit, event, queue)`,
        ours: `${perSecond(ours.perSecond)}, p50 ${ms(ours.p50Ms)}`,
        beside: `${perSecond(ceiling.perSecond)}, p50 ${ms(ceiling.p50Ms)}: bare group commit of the same five rows behind HTTP`,
        ratio: ours.perSecond / ceiling.perSecond,
        bar: { atLeast: 0.6 },
        note: `CPU of one submit: ${usedText(cpu)}.`,
      },
      {
        section,
        name: 'the same against a narrow job and an outbox row',
        ours: perSecond(ours.perSecond),
        beside: `${perSecond(narrow.perSecond)}: bare group commit of two rows without further indexes`,
        ratio: ours.perSecond / narrow.perSecond,
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
      ...(await grpcFigures(ground, ours.perSecond)),
    ],
  }
}

async function checked(loaded: Promise<Loaded>): Promise<Loaded> {
  const result = await loaded
  if (result.failures > 0) throw new Error(`${result.failures} requests of the benchmark failed`)
  return result
}
