import { contract } from '@wheelhouse/contract'
import { age } from '../cells.ts'
import type { Command, Group } from '../command.ts'
import { row } from '../row.ts'

const { queues } = contract.native

const workerIds: NonNullable<Command['complete']> = async ({ client }) => {
  const found = await client.jobs.workers.listWorkers({})
  return found.map(({ worker_id: id, pool }) => [id, pool ?? ''] as const)
}

const list = row('jobs', contract.jobs.workers.listWorkers, {
  name: 'list',
  aliases: ['ls'],
  items: (workers) => workers,
  columns: {
    WORKER: ({ worker_id: id }) => id,
    POOL: ({ pool }) => pool,
    JOBS: ({ in_flight: flying, active_jobs: active, max_parallel_jobs: most }) =>
      `${flying ?? active ?? 0}${most ? ` of ${most}` : ''}`,
    CPU: ({ cpu_load: load }) => (load === undefined ? '' : `${Math.round(load)}%`),
    CAN: ({ capabilities }) => capabilities?.join(', '),
    DRAINING: ({ draining }) => (draining ? 'yes' : ''),
    HEARD: ({ updated_at: at }) => age(at),
  },
  id: ({ worker_id: id }) => id,
})

const drain = row('native', queues.drainWorker, {
  name: 'drain',
  complete: workerIds,
  said: ({ workerId, inFlight }) => `${workerId} gets no new jobs; it still has ${inFlight}.`,
})

const undrain = row('native', queues.undrainWorker, {
  name: 'undrain',
  complete: workerIds,
  said: ({ workerId }) => `${workerId} gets jobs again.`,
})

export const workerGroup: Group = {
  name: 'worker',
  aliases: ['workers'],
  summary: 'Processes that take jobs',
  commands: [list, drain, undrain],
}

const queueNames: NonNullable<Command['complete']> = async () => [
  ['topic', 'jobs of one topic'],
  ['pool', 'jobs for the workers of one pool'],
]

const topics = row('native', queues.overview, {
  name: 'list',
  aliases: ['ls'],
  summary: 'What waits by topic, and for how long',
  items: ({ topics: found }) => found,
  columns: {
    TOPIC: ({ topic }) => topic,
    WAITING: ({ waiting }) => waiting,
    RUNNING: ({ running }) => running,
    HELD: ({ held }) => held,
    BLOCKED: ({ blocked }) => blocked,
    OLDEST: ({ oldestWaitingSince: at }) => (at === null ? '' : age(at)),
    PAUSED: ({ paused }) => (paused ? `by ${paused.by} ${paused.reason}` : ''),
  },
  id: ({ topic }) => topic,
})

const pools = row('native', queues.overview, {
  name: 'pools',
  summary: 'Pools with their workers, slots and what is in flight',
  items: ({ pools: found }) => found,
  columns: {
    POOL: ({ pool }) => pool,
    WORKERS: ({ workers }) => workers,
    DRAINING: ({ draining }) => draining,
    'IN FLIGHT': ({ inFlight, capacity }) => `${inFlight} of ${capacity}`,
    PROVIDES: ({ provides }) => provides.join(', '),
    PAUSED: ({ paused }) => (paused ? `by ${paused.by} ${paused.reason}` : ''),
  },
  id: ({ pool }) => pool,
})

const pause = row('native', queues.pauseQueue, {
  name: 'pause',
  complete: queueNames,
  said: ({ name }) => `${name} is paused: what runs goes on, what comes waits.`,
  examples: ['wheelhouse queue pause topic job.deploy --reason "database moves"'],
})

const resume = row('native', queues.resumeQueue, {
  name: 'resume',
  complete: queueNames,
  said: ({ name }) => `${name} goes on.`,
})

export const queueGroup: Group = {
  name: 'queue',
  aliases: ['queues'],
  summary: 'What waits where, and the brakes',
  commands: [topics, pools, pause, resume],
}
