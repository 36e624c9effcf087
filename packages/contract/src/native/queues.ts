import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Nullable, OneOf, Timestamp } from '../schemas.ts'

const group = 'Queues'
const Name = Type.String({ minLength: 1, maxLength: 256 })
const KINDS = ['topic', 'pool'] as const
const params = Type.Object({ kind: OneOf(KINDS), name: Name })
const Reason = Type.Optional(Type.String({ maxLength: 2000 }))

/** A stop that somebody set. */
const Halt = Type.Object({ at: Timestamp, by: Type.String(), reason: Type.String() })

const Limits = Type.Object({
  /** Waiting jobs beyond which submissions are refused. */
  maxDepth: Nullable(Type.Integer({ minimum: 1, maximum: 100_000_000 })),
  /** A job that waits longer ends, with a dead letter `queue_expired`. */
  maxAgeMs: Nullable(Type.Integer({ minimum: 1000, maximum: 31_536_000_000 })),
})

const counts = {
  waiting: Type.Integer({ description: 'Ready, or ready again after a pause' }),
  held: Type.Integer({ description: 'Waits for approval' }),
  running: Type.Integer(),
  blocked: Type.Integer({ description: 'Waits until others of its concurrency key have ended' }),
  setAside: Type.Integer({ description: 'Waits because its queue is paused' }),
}

const Topic = Type.Object({
  topic: Type.String(),
  ...counts,
  oldestWaitingSince: Nullable(Timestamp),
  pools: Type.Array(Type.String()),
  paused: Nullable(Halt),
  limits: Limits,
})

const Pool = Type.Object({
  pool: Type.String(),
  workers: Type.Integer(),
  draining: Type.Integer(),
  capacity: Type.Integer({ description: 'Slots of its live workers that are not draining' }),
  inFlight: Type.Integer(),
  provides: Type.Array(Type.String()),
  topics: Type.Array(Type.String()),
  paused: Nullable(Halt),
})

const Queue = Type.Object({
  kind: OneOf(KINDS),
  name: Type.String(),
  paused: Nullable(Halt),
  limits: Limits,
})

const Drained = Type.Object({
  workerId: Type.String(),
  draining: Nullable(Halt),
  inFlight: Type.Integer({ description: 'Jobs that it still has' }),
})

/** What waits where, who would take it, and the brakes: pausing a queue, draining a worker, limits on depth and age. */
export const queues = area({
  overview: {
    method: 'GET',
    path: '/wheelhouse/api/v1/queues',
    group,
    summary: 'Queues by topic and pools with their workers, depth by state, the oldest that waits, and who paused what',
    permission: 'worker:read',
    rate: 'native',
    reply: Type.Object({ topics: Type.Array(Topic), pools: Type.Array(Pool) }),
  },
  pauseQueue: {
    method: 'POST',
    path: '/wheelhouse/api/v1/queues/{kind}/{name}/pause',
    group,
    summary: 'Stops handing out jobs of a topic, or to workers of a pool; what runs goes on, what comes waits',
    permission: 'worker:write',
    verb: 'queue.pause',
    rate: 'native',
    params,
    body: Type.Object({ reason: Reason }),
    reply: Queue,
  },
  resumeQueue: {
    method: 'POST',
    path: '/wheelhouse/api/v1/queues/{kind}/{name}/resume',
    group,
    summary: 'Hands out jobs again',
    permission: 'worker:write',
    verb: 'queue.resume',
    rate: 'native',
    params,
    reply: Queue,
  },
  limitQueue: {
    method: 'PUT',
    path: '/wheelhouse/api/v1/queues/topic/{name}/limits',
    group,
    summary: 'Limits how many jobs of a topic may wait and for how long; null lifts a limit',
    permission: 'worker:write',
    verb: 'queue.limit',
    rate: 'native',
    params: Type.Object({ name: Name }),
    body: Limits,
    reply: Queue,
  },
  drainWorker: {
    method: 'POST',
    path: '/wheelhouse/api/v1/workers/{id}/drain',
    group,
    summary: 'Gives a worker no new jobs, also after a restart, until it is taken back; it ends what it has',
    permission: 'worker:write',
    verb: 'worker.drain',
    rate: 'native',
    params: Type.Object({ id: Id }),
    body: Type.Object({ reason: Reason }),
    reply: Drained,
  },
  undrainWorker: {
    method: 'POST',
    path: '/wheelhouse/api/v1/workers/{id}/undrain',
    group,
    summary: 'Gives a drained worker jobs again',
    permission: 'worker:write',
    verb: 'worker.undrain',
    rate: 'native',
    params: Type.Object({ id: Id }),
    reply: Drained,
  },
})
