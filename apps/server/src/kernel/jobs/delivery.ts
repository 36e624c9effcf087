import { Fault } from '@wheelhouse/contract'
import { encodePacket, newPacket } from '../bus/index.ts'
import type { Instant } from '../clock/index.ts'
import type { Active } from './active.ts'
import type { Core } from './core.ts'
import { AGAIN_MS } from './delays.ts'
import type { CheckHooks } from './dispatch-checks.ts'
import { placeOf, workerRequest } from './request.ts'
import { attemptOf } from './spans.ts'

/** Whether somebody listens on a subject is asked again after so long. */
const LISTENER_MS = 60_000
/** A worker that does not listen on its own subject is not tried there for so long. */
const NO_DIRECT_MS = 10_000
/** Nobody answers a delivery; "no responders" comes within milliseconds. */
const PROBE_MS = 400
/** After the bus came back, a worker that is not there yet is looked for so often. */
const RESEND_MS = 500
const MOST_LISTENERS = 50_000

/** Whether somebody listens on a subject, and until when that is believed. */
interface Heard {
  there: boolean
  until: Instant
}

export interface Delivery {
  /** Sends a claimed job on its way to its worker, or to whoever subscribes to its topic; what cannot be sent goes back. */
  send(entry: Active): void
  /** It is on its way: until now it waited. */
  dispatched(entry: Active): void
  /** What is known of the listeners of a subject. */
  heard(account: string, subject: string): Heard | undefined
  /** What was known of who listens counts no more. */
  forgetListeners(): void
  stop(): void
}

interface DeliveryHooks extends Pick<CheckHooks, 'refuse' | 'forget'> {
  /** The job was ended by others: it must not reach a worker any more. */
  isWithdrawn(entry: Active): boolean
  /** Tells its worker once more that it must stop. */
  recall(entry: Active): void
  find(tenantId: string, jobId: string): Active | undefined
  giveBack(entries: readonly Active[], runAt: Instant): Promise<void>
  /** Somebody listens who did not before: there may be work for them. */
  kick(): void
}

/** The way of claimed jobs over the bus. */
export function openDelivery(core: Core, hooks: DeliveryHooks): Delivery {
  const { find, forget, refuse, giveBack, kick, isWithdrawn, recall } = hooks
  const { bus, clock, log } = core
  const listeners = new Map<string, Heard>()
  const resends = new Set<NodeJS.Timeout>()
  let stopped = false

  function send(
    entry: Active,
    config = core.tenantConfig.peek(entry.claimed.tenantId, placeOf(entry.claimed.request)),
  ): void {
    const { claimed, worker } = entry
    if (!config) return sendWithConfig(entry)
    const account = worker?.account ?? claimed.account
    entry.sentAt = clock.now()
    if (account === null) return unsent(entry, new Error('the tenant has no account on the bus'))
    const packet = newPacket(claimed.traceId, 'scheduler', clock.now(), {
      case: 'jobRequest',
      value: workerRequest({
        jobId: claimed.id,
        request: claimed.request,
        fence: claimed.fence,
        constraints: claimed.constraints,
        remainingMs: claimed.expiresAt - clock.now(),
        config: config.json,
      }),
    })
    let bytes: Uint8Array
    try {
      bytes = encodePacket(packet)
    } catch (error) {
      forget(claimed.tenantId, claimed.id)
      refuse(claimed, { state: 'failed', code: 'payload_too_large', message: String(error) }).catch((failed: unknown) =>
        log.error({ err: failed }, 'A job that is too large could not be ended'),
      )
      return
    }
    void deliver(entry, account, bytes).catch((error: unknown) => unsent(entry, error))
  }

  /** Once the configuration that goes with it is read; the claim may have ended meanwhile. */
  function sendWithConfig(entry: Active): void {
    const { tenantId, id, request } = entry.claimed
    core.tenantConfig
      .effective(tenantId, placeOf(request))
      .then((config) => (find(tenantId, id) === entry ? send(entry, config) : undefined))
      .catch((error: unknown) => unsent(entry, error))
  }

  /** The bus or the database is away. Whether the worker has got it is not known; it is sent anew under the next fence. */
  function unsent(entry: Active, error: unknown): void {
    const { tenantId, id } = entry.claimed
    log.warn({ err: error, jobId: id }, 'A job could not be sent; it is tried again')
    if (find(tenantId, id) !== entry || sentLater(entry)) return
    // A claim that cannot be given back is not prolonged any more, so its lease runs out.
    giveBack([entry], clock.now() + AGAIN_MS).catch((failed: unknown) =>
      log.warn({ err: failed, jobId: id }, 'A claim could not be given back; its lease will run out'),
    )
  }

  /** What was under way when the bus went is not given to another while its worker may only be slower to return than we are. */
  function sentLater(entry: Active): boolean {
    if (stopped || entry.awaitedUntil <= clock.now()) return false
    const timer = setTimeout(() => {
      resends.delete(timer)
      if (find(entry.claimed.tenantId, entry.claimed.id) === entry) send(entry)
    }, RESEND_MS)
    resends.add(timer)
    return true
  }

  /** It is on its way: until now it waited. */
  function dispatched({ claimed }: Active): void {
    core.onDispatch(claimed.request.topic)
    if (core.tracer.on) core.tracer.queued(attemptOf(claimed), claimed.createdAt, claimed.startedAt)
  }

  /** To the worker itself when it listens there, else to whoever subscribes to the topic (jobs.md 17.4 with its fix). */
  async function deliver(entry: Active, account: string, bytes: Uint8Array): Promise<void> {
    const { claimed, worker } = entry
    const topic = claimed.request.topic
    await core.redisPointers?.offer(claimed.tenantId, claimed.id)
    for (const subject of [...(worker ? [`worker.${worker.workerId}.jobs`] : []), topic]) {
      if (isWithdrawn(entry)) return
      if (!(await reach(account, subject, bytes))) continue
      // A cancel that came while it was on its way may have overtaken it.
      if (isWithdrawn(entry)) recall(entry)
      return dispatched(entry)
    }
    if (find(claimed.tenantId, claimed.id) !== entry || sentLater(entry)) return
    // Nobody there: it waits as jobs without workers do.
    await giveBack([entry], clock.now() + AGAIN_MS)
  }

  /** Publishes; false when nobody listens on the subject. What was found out is believed for a while. */
  async function reach(account: string, subject: string, bytes: Uint8Array): Promise<boolean> {
    const key = `${account} ${subject}`
    const known = listeners.get(key)
    const now = clock.now()
    if (known && known.until > now) {
      if (!known.there) return false
      if (!bus.toAccount(account, subject, bytes)) throw new Error('the bus is away')
      return true
    }
    // One delivery asks again; the others meanwhile go by what is known.
    if (known?.there) known.until = now + LISTENER_MS
    const there = await bus
      .requestAccount(account, subject, bytes, { timeoutMs: PROBE_MS })
      .then(() => true)
      .catch((error: unknown) => {
        const reason = error instanceof Fault ? error.details?.['reason'] : undefined
        if (reason === 'no responders') return false
        if (reason === 'timeout') return true
        throw error
      })
    if (listeners.size > MOST_LISTENERS) listeners.clear()
    const believed = there ? LISTENER_MS : subject.startsWith('worker.') ? NO_DIRECT_MS : AGAIN_MS
    listeners.set(key, { there, until: clock.now() + believed })
    if (there) kick()
    return there
  }

  return {
    send,
    dispatched,
    heard: (account, subject) => listeners.get(`${account} ${subject}`),
    forgetListeners: () => listeners.clear(),
    stop() {
      stopped = true
      for (const timer of resends) clearTimeout(timer)
    },
  }
}
