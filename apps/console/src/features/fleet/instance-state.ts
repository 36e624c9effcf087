import type { Instance, InstanceStatus, LatestMetric } from '../../api/wire.ts'
import type { Status } from '../../ui/status.tsx'

export interface InstanceState {
  status: Status
  word: string
}

const STATES: Record<InstanceStatus, InstanceState> = {
  RUNNING: { status: 'ok', word: 'Healthy' },
  STOPPED: { status: 'off', word: 'Stopped' },
  DEPLOYING: { status: 'running', word: 'Deploying' },
  DESTROYING: { status: 'running', word: 'Destroying' },
  DESTROYED: { status: 'off', word: 'Destroyed' },
  SUSPENDED: { status: 'off', word: 'Suspended' },
  ERROR: { status: 'failed', word: 'Failed' },
  UNKNOWN: { status: 'unknown', word: 'Silent' },
}

const FULL_PERCENT = 93
const BUSY_PERCENT = 93

/** Said to run, but nothing was ever heard from it: registered by hand, or its agent has not come up. */
export const isUnheard = (instance: Pick<Instance, 'status' | 'lastHeartbeat'>): boolean =>
  instance.status === 'RUNNING' && instance.lastHeartbeat === null

/** How one instance is, in the vocabulary. One that runs but is nearly full is worth a look; what is not known is never healthy. */
export function instanceState(
  instance: Pick<Instance, 'status' | 'lastHeartbeat'>,
  metric?: LatestMetric,
): InstanceState {
  if (isUnheard(instance) && !metric) return { status: 'unknown', word: 'Never heard of' }
  const state = STATES[instance.status]
  if (state.status !== 'ok' || !metric) return state
  if (metric.diskPercent >= FULL_PERCENT) return { status: 'warning', word: `Disk ${Math.round(metric.diskPercent)} %` }
  if (metric.memPercent >= BUSY_PERCENT) return { status: 'warning', word: `Memory ${Math.round(metric.memPercent)} %` }
  return state
}

/** Where it is, in words. */
export function placeOf(instance: Pick<Instance, 'provider' | 'region'>): string {
  return [instance.provider, instance.region].filter(Boolean).join(' ')
}

/** The environment its tags name; none when they name none. */
export function environmentOf(instance: Pick<Instance, 'tags'>): string | undefined {
  return instance.tags?.['environment'] ?? instance.tags?.['env']
}
