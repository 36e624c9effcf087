import type { Heartbeat } from '@wheelhouse/contract/proto/cap_pb'

/** What a worker says of itself in a heartbeat, in our names. */
export interface WorkerFacts {
  workerId: string
  region: string
  type: string
  cpuLoad: number
  gpuUtilization: number
  activeJobs: number
  maxParallelJobs: number
  capabilities: readonly string[]
  pool: string
  labels: Readonly<Record<string, string>>
}

export function factsOf(heartbeat: Heartbeat): WorkerFacts {
  const { workerId, region, type, cpuLoad, gpuUtilization, activeJobs, maxParallelJobs, pool } = heartbeat
  return {
    workerId,
    region,
    type,
    cpuLoad,
    gpuUtilization,
    activeJobs,
    maxParallelJobs,
    capabilities: heartbeat.capabilities.slice(0, 200),
    pool,
    labels: heartbeat.labels,
  }
}
