import type { FleetStats, Instance, InstanceStatus, JobRecord, LatestMetric } from '../../api/wire.ts'
import { instant, plural } from '../../ui/age.ts'
import type { Tile } from '../../ui/tile-map.tsx'
import { environmentOf, instanceState, isUnheard } from '../fleet/instance-state.ts'

/** The figures with those that nothing was ever heard from counted as silent: the server counts what they were registered as. */
export function heardStats(stats: FleetStats | undefined, instances: readonly Instance[]): FleetStats | undefined {
  const unheard = instances.filter(isUnheard).length
  if (!stats || unheard === 0) return stats
  const { RUNNING: running = 0, UNKNOWN: silent = 0 } = stats.by_status
  return {
    ...stats,
    by_status: { ...stats.by_status, RUNNING: Math.max(0, running - unheard), UNKNOWN: silent + unheard },
  }
}

/** The answer to the page's question, as sentences. */
export function headline(
  stats: FleetStats | undefined,
  waits: number,
  failedRuns = 0,
): { fleet: string; rest: string } {
  const total = stats?.total ?? 0
  const of = (...states: InstanceStatus[]) => states.reduce((sum, state) => sum + (stats?.by_status[state] ?? 0), 0)
  const healthy = of('RUNNING')
  // What rests on purpose is neither well nor ill.
  const resting = of('STOPPED', 'SUSPENDED', 'DESTROYED')
  const awake = total - resting
  const up = resting > 0 ? ' that are up' : ''
  const fleet =
    stats === undefined
      ? 'The fleet cannot be seen.'
      : total === 0
        ? 'No instances yet.'
        : awake === 0
          ? 'Every instance is at rest.'
          : healthy === awake
            ? awake === 1
              ? `The one instance${resting > 0 ? ' that is up' : ''} is healthy.`
              : `All ${awake} instances${up} are healthy.`
            : `${healthy} of ${awake} instances${up} are healthy.`
  const failed = stats?.by_status.ERROR ?? 0
  const silent = stats?.by_status.UNKNOWN ?? 0
  const parts = [
    failed > 0 && `${plural(failed, 'instance')} failed.`,
    silent > 0 && `${plural(silent, 'instance')} silent.`,
    failedRuns > 0 && `${plural(failedRuns, 'run')} failed in the last day.`,
  ].filter((part): part is string => typeof part === 'string')
  return {
    fleet,
    rest:
      parts.length > 0
        ? parts.join(' ')
        : waits > 0
          ? 'Nothing else is wrong.'
          : total > 0
            ? 'Nothing is wrong, nothing waits.'
            : '',
  }
}

export interface JobRates {
  live: number
  queued: number
  held: number
  failed: number
  /** Changes a minute over the last hour, in twelve slots, oldest first. */
  trend: number[]
}

const HOUR = 3_600_000

/** What the newest jobs tell: how many are where, and how busy the last hour was. */
export function jobRates(jobs: readonly JobRecord[], now: number): JobRates {
  const trend = Array.from({ length: 12 }, () => 0)
  const of = (...states: string[]) => jobs.filter((job) => states.includes(job.state)).length
  let failed = 0
  for (const job of jobs) {
    const age = now - (instant(job.updated_at) ?? 0)
    if (age < 0 || age >= HOUR) continue
    const slot = 11 - Math.floor((age / HOUR) * 12)
    trend[slot] = (trend[slot] ?? 0) + 1 / 5
    if (job.state === 'FAILED' || job.state === 'TIMEOUT') failed += 1
  }
  return {
    live: of('RUNNING', 'DISPATCHED'),
    queued: of('PENDING', 'SCHEDULED'),
    held: of('APPROVAL_REQUIRED'),
    failed,
    trend,
  }
}

/** The fleet as marks: by environment where tags name one, else by provider. */
export function fleetTiles(instances: readonly Instance[], metrics: ReadonlyMap<string, LatestMetric> | undefined) {
  const groups = new Map<string, Tile[]>()
  const named = instances.some((instance) => environmentOf(instance) !== undefined)
  for (const instance of instances) {
    const name = named ? (environmentOf(instance) ?? 'no environment') : instance.provider
    const { status, word } = instanceState(instance, metrics?.get(instance.id))
    const tile = { id: instance.id, name: instance.name, status, word }
    const group = groups.get(name)
    if (group) group.push(tile)
    else groups.set(name, [tile])
  }
  return [...groups]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([name, tiles]) => ({
      name,
      tiles,
      end: `${tiles.filter((tile) => tile.status === 'ok').length} of ${tiles.length}`,
    }))
}

export interface RunsToday {
  live: number
  waiting: number
  failed: number
  done: number
}

/** How the runs of the last day stand, over all workflows. */
export function runsToday(workflows: readonly { counts: Readonly<Record<string, number>> }[]): RunsToday {
  const of = (...states: string[]) =>
    workflows.reduce((sum, { counts }) => sum + states.reduce((all, state) => all + (counts[state] ?? 0), 0), 0)
  return {
    live: of('running', 'pending'),
    waiting: of('waiting'),
    failed: of('failed', 'timed_out'),
    done: of('succeeded'),
  }
}

/** What the queues hold now: exact, where the newest jobs show a part alone. */
export function queueLoad(topics: readonly { waiting: number; running: number; setAside: number; paused: unknown }[]): {
  running: number
  waiting: number
  paused: number
} {
  return {
    running: topics.reduce((sum, topic) => sum + topic.running, 0),
    waiting: topics.reduce((sum, topic) => sum + topic.waiting + topic.setAside, 0),
    paused: topics.filter((topic) => topic.paused !== null).length,
  }
}

/** `3 dead letters`; of more than a page only that there are more. Nothing where there are none. */
export function deadWords(
  page: { items: readonly unknown[]; next_cursor: number | null } | undefined,
): string | undefined {
  if (!page || page.items.length === 0) return undefined
  return page.next_cursor === null ? plural(page.items.length, 'dead letter') : `over ${page.items.length} dead letters`
}
