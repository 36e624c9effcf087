import { native } from '@wheelhouse/contract/native/index'
import type { Instant } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { publish } from '../../kernel/events/index.ts'
import { serve } from '../../kernel/http/index.ts'
import { actorOf, type Principal } from '../../kernel/identity/index.ts'
import type { Halt } from '../../kernel/jobs/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { overview } from './overview.ts'
import { halt } from './shown.ts'
import { braked } from './tables.ts'

/** Queues, pools and workers: what waits, and the brakes. */
export const routes = (kernel: Kernel) => {
  const { jobs } = kernel

  async function set(
    tx: Tx,
    principal: Principal,
    what: { kind: 'topic' | 'pool' | 'worker'; name: string },
    given: Halt | null,
    now: Instant,
  ): Promise<void> {
    await jobs.brakes.halt(tx, what, given)
    const isWorker = what.kind === 'worker'
    await publish(tx, {
      type: isWorker ? (given ? 'worker.drained' : 'worker.undrained') : given ? 'queue.paused' : 'queue.resumed',
      resource: { kind: isWorker ? 'worker' : 'queue', id: isWorker ? what.name : `${what.kind}:${what.name}` },
      actor: actorOf(principal),
      data: given ? { reason: given.reason } : {},
      at: now,
    })
  }

  const haltBy = (principal: Principal, reason: string | undefined, now: Instant): Halt => ({
    at: now,
    by: principal.name,
    reason: reason ?? '',
  })

  const inFlight = (tenantId: string, id: string): number => jobs.workers.find(tenantId, id)?.inFlight ?? 0

  return serve('native', native.queues, {
    overview: ({ tx, principal }) => overview(kernel, tx, principal.tenantId),

    async pauseQueue({ tx, principal, params, body, now, audit }) {
      await set(tx, principal, params, haltBy(principal, body.reason, now), now)
      audit({ resourceId: `${params.kind}:${params.name}`, metadata: { reason: body.reason ?? '' } })
      return braked(tx, params)
    },
    async resumeQueue({ tx, principal, params, now, audit }) {
      await set(tx, principal, params, null, now)
      audit({ resourceId: `${params.kind}:${params.name}` })
      return braked(tx, params)
    },
    async limitQueue({ tx, principal, params, body, now, audit }) {
      await jobs.brakes.limit(tx, params.name, body)
      await publish(tx, {
        type: 'queue.limited',
        resource: { kind: 'queue', id: `topic:${params.name}` },
        actor: actorOf(principal),
        data: body,
        at: now,
      })
      audit({ resourceId: `topic:${params.name}`, after: body })
      return braked(tx, { kind: 'topic', name: params.name })
    },
    async drainWorker({ tx, principal, params, body, now, audit }) {
      const given = haltBy(principal, body.reason, now)
      await set(tx, principal, { kind: 'worker', name: params.id }, given, now)
      audit({ resourceId: params.id, metadata: { reason: given.reason } })
      return { workerId: params.id, draining: halt(given), inFlight: inFlight(principal.tenantId, params.id) }
    },
    async undrainWorker({ tx, principal, params, now, audit }) {
      await set(tx, principal, { kind: 'worker', name: params.id }, null, now)
      audit({ resourceId: params.id })
      return { workerId: params.id, draining: null, inFlight: inFlight(principal.tenantId, params.id) }
    },
  })
}
