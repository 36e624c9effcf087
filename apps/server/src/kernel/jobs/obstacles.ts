import type { Instant } from '../clock/index.ts'
import type { TenantBrakes } from './brakes.ts'
import { type Route, routeOf } from './pools.ts'
import type { JobRequest } from './request.ts'
import { freeSlots, placementFits, type Worker } from './workers.ts'

/** One thing that keeps a ready job from being handed out. */
export interface Obstacle {
  kind: 'worker' | 'capacity' | 'paused' | 'draining'
  text: string
  /** What has to happen, or be done. */
  clears: string
  since?: Instant
  ref?: { kind: 'worker' | 'queue'; id: string }
}

/** Workers that a way leads to; for a topic without pools those that announce it. */
export function candidatesOn(route: Route, live: readonly Worker[]): Worker[] {
  if (route.kind === 'pools') return live.filter(({ pool }) => route.names.includes(pool))
  if (route.kind === 'topic')
    return live.filter(
      ({ pool, capabilities }) =>
        capabilities.includes(route.topic) || (route.topic === 'job.default' && pool === 'default'),
    )
  return []
}

const named = (names: readonly string[]): string => names.map((name) => `“${name}”`).join(' or ')

/** Why a ready job is not handed out now, by the same rules as the dispatcher's; empty when nothing but its turn is missing. */
export function obstacles(
  pool: string,
  request: JobRequest,
  live: readonly Worker[],
  brakes: TenantBrakes,
  /** Jobs that subscribers of its topic have who send no heartbeats. */
  takenByTopic: number,
): Obstacle[] {
  const route = routeOf(pool)
  const halted = brakes.topics.get(request.topic)
  if (halted) return [pausedBy('topic', request.topic, halted)]
  if (route.kind === 'verb') return []
  const candidates = candidatesOn(route, live)
  if (candidates.length === 0 && route.kind === 'topic' && takenByTopic > 0)
    return [
      {
        kind: 'capacity',
        text: `Subscribers of “${request.topic}” that send no heartbeats have ${takenByTopic} jobs already.`,
        clears: 'One of these ends, or a worker with heartbeats connects.',
      },
    ]
  if (candidates.length === 0) {
    return [
      route.kind === 'pools'
        ? {
            kind: 'worker',
            text: `No worker of pool ${named(route.names)} is connected.`,
            clears: `A worker that says it is of pool ${named(route.names)} connects.`,
          }
        : {
            kind: 'worker',
            text: `No worker announces topic “${request.topic}”, and nobody subscribes to it.`,
            clears: `A worker subscribes to “${request.topic}”, or names it among its capabilities.`,
          },
    ]
  }
  const labels = request.labels ?? {}
  const advertised = new Set(candidates.flatMap((each) => Object.keys(each.labels)))
  const fitting = candidates.filter((each) => placementFits(labels, each, advertised))
  if (fitting.length === 0) return [misplaced(labels, candidates, advertised)]
  const open = fitting.filter((each) => !brakes.pools.has(each.pool))
  if (open.length === 0) {
    const [name = ''] = new Set(fitting.map((each) => each.pool))
    const halt = brakes.pools.get(name)
    return halt ? [pausedBy('pool', name, halt)] : []
  }
  const taking = open.filter(({ workerId }) => !brakes.drained.has(workerId))
  if (taking.length === 0)
    return open.slice(0, 10).map(({ workerId }) => {
      const halt = brakes.drained.get(workerId)
      return {
        kind: 'draining',
        text: `Worker “${workerId}” is draining${halt ? ` (${halt.by}${halt.reason === '' ? '' : `: ${halt.reason}`})` : ''}.`,
        clears: 'Take the worker back (undrain), or connect another one.',
        ref: { kind: 'worker', id: workerId },
        ...(halt ? { since: halt.at } : {}),
      }
    })
  if (taking.every((each) => freeSlots(each) === 0))
    return [
      {
        kind: 'capacity',
        text:
          taking.length === 1
            ? `Worker “${taking[0]?.workerId}”, the only one that fits, is busy.`
            : `All ${taking.length} workers that fit are busy.`,
        clears: 'One of their jobs ends, or another worker connects.',
      },
    ]
  return []
}

function pausedBy(
  kind: 'topic' | 'pool',
  name: string,
  { at, by, reason }: { at: Instant; by: string; reason: string },
): Obstacle {
  return {
    kind: 'paused',
    text: `${kind === 'topic' ? 'Topic' : 'Pool'} “${name}” is paused by ${by}${reason === '' ? '' : `: ${reason}`}.`,
    clears: `Resume the ${kind}.`,
    since: at,
    ref: { kind: 'queue', id: `${kind}:${name}` },
  }
}

/** Names the labels that nobody offers, or says that nobody offers all of them together. */
function misplaced(
  labels: Readonly<Record<string, string>>,
  candidates: readonly Worker[],
  advertised: ReadonlySet<string>,
): Obstacle {
  const missing = Object.entries(labels)
    .filter(([name, value]) => !candidates.some((each) => placementFits({ [name]: value }, each, advertised)))
    .map(([name, value]) => `${name}=${value}`)
  return {
    kind: 'worker',
    text:
      missing.length > 0
        ? `None of ${candidates.length} workers has the label ${named(missing)}.`
        : `None of ${candidates.length} workers has all of its placement labels together.`,
    clears: 'A worker with these labels connects, or the job is submitted without them.',
  }
}
