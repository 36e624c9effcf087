import { iso } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { freeSlots, routeOf } from '../../kernel/jobs/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { halt, limitsOf } from './shown.ts'
import { depths, type DepthRow } from './tables.ts'

const NOTHING = { waiting: 0, held: 0, running: 0, blocked: 0, setAside: 0 }
type Counts = typeof NOTHING

const sum = (a: Counts, b: Counts): Counts => ({
  waiting: a.waiting + b.waiting,
  held: a.held + b.held,
  running: a.running + b.running,
  blocked: a.blocked + b.blocked,
  setAside: a.setAside + b.setAside,
})

/** The pools that a queue row's way names; verbs run in the server itself. */
function poolsOf({ pool }: DepthRow): readonly string[] {
  const route = routeOf(pool)
  return route.kind === 'pools' ? route.names : route.kind === 'verb' ? ['server'] : []
}

/** Queues by topic, and pools with their workers. Topics that have nothing are shown where something is configured or set for them. */
export async function overview({ jobs, tenantConfig }: Kernel, tx: Tx, tenantId: string) {
  const brakes = await jobs.brakes.fresh(tenantId)
  const { pools: configured } = await tenantConfig.routing(tenantId)
  const rows = Map.groupBy(await depths(tx), ({ topic }) => topic)
  const live = jobs.workers.live(tenantId)

  const names = new Set([
    ...rows.keys(),
    ...Object.keys(configured?.topics ?? {}),
    ...brakes.topics.keys(),
    ...brakes.limits.keys(),
    ...live.flatMap(({ capabilities }) => capabilities.filter((each) => each.startsWith('job.'))),
  ])
  const topics = [...names].sort().map((topic) => {
    const mine = rows.get(topic) ?? []
    const ages = mine.flatMap(({ oldest }) => oldest ?? [])
    const advertised = live.filter(({ capabilities }) => capabilities.includes(topic)).map(({ pool }) => pool)
    const pools = new Set([...mine.flatMap(poolsOf), ...(configured?.topics[topic] ?? []), ...advertised])
    return {
      topic,
      ...mine.reduce<Counts>(sum, NOTHING),
      oldestWaitingSince: ages.length === 0 ? null : iso(Math.min(...ages)),
      pools: [...pools].filter((pool) => pool !== '').sort(),
      paused: halt(brakes.topics.get(topic)),
      limits: limitsOf(brakes, topic),
    }
  })

  const poolNames = new Set([
    ...live.map(({ pool }) => pool),
    ...Object.keys(configured?.pools ?? {}),
    ...Object.values(configured?.topics ?? {}).flat(),
    ...brakes.pools.keys(),
  ])
  const pools = [...poolNames]
    .filter((pool) => pool !== '')
    .sort()
    .map((pool) => {
      const workers = live.filter((worker) => worker.pool === pool)
      const taking = workers.filter(({ workerId }) => !brakes.drained.has(workerId))
      return {
        pool,
        workers: workers.length,
        draining: workers.length - taking.length,
        capacity: taking.reduce((slots, worker) => slots + freeSlots(worker) + worker.inFlight + worker.foreign, 0),
        inFlight: workers.reduce((n, worker) => n + worker.inFlight + worker.foreign, 0),
        provides: [...(configured?.pools[pool]?.requires ?? [])],
        topics: Object.entries(configured?.topics ?? {})
          .filter(([, served]) => served.includes(pool))
          .map(([topic]) => topic)
          .sort(),
        paused: halt(brakes.pools.get(pool)),
      }
    })
  return { topics, pools }
}
