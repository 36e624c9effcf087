import { workers as endpoints } from '@wheelhouse/contract/jobs/workers'
import { iso } from '../../kernel/clock/index.ts'
import { type Bound, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { withoutZeros } from '../zero-values.ts'

/** jobs.md §16, with the 30 seconds of its fix. */
export const routes = ({ jobs }: Kernel): Bound[] =>
  serve('jobs', endpoints, {
    listWorkers({ principal }) {
      const { drained } = jobs.brakes.of(principal.tenantId)
      return jobs.workers
        .live(principal.tenantId)
        .toSorted((a, b) => (a.workerId < b.workerId ? -1 : 1))
        .map((worker) => ({
          worker_id: worker.workerId,
          updated_at: iso(worker.seenAt),
          ...withoutZeros({
            region: worker.region,
            type: worker.type,
            cpu_load: worker.cpuLoad,
            gpu_utilization: worker.gpuUtilization,
            active_jobs: worker.activeJobs,
            capabilities: [...worker.capabilities],
            pool: worker.pool,
            max_parallel_jobs: worker.maxParallelJobs,
            topic: worker.capabilities.find((each) => each.startsWith('job.')) ?? '',
            in_flight: worker.inFlight,
            draining: drained.has(worker.workerId),
          }),
          ...(Object.keys(worker.labels).length === 0 ? {} : { labels: { ...worker.labels } }),
        }))
    },
  })
