import { Fault } from '@wheelhouse/contract'
import { encodePacket, newPacket } from '../bus/index.ts'
import type { Instant } from '../clock/index.ts'
import { sql } from '../db/index.ts'
import { evaluate } from '../policy/index.ts'
import type { Core } from './core.ts'
import { crashPoint } from '../crash/index.ts'
import { FROZEN_UNTIL } from './frozen.ts'
import { candidatesOn } from './obstacles.ts'
import { type Loan, openLoans, type Place } from './loans.ts'
import { routeOf, type Route } from './pools.ts'
import {
  approvedHashes,
  claim,
  type Claimed,
  decisionsOf,
  MAX_RECOVERIES,
  readyPools,
  reassign,
  release,
  renew,
  type Slot,
} from './queue.ts'
import { type JobRequest, placeOf, policyRequest, rankOf, requestHash, workerRequest } from './request.ts'
import { concurrencyOf, park } from './slots.ts'
import { attemptOf } from './spans.ts'
import type { NewRow } from './store.ts'
import { freeSlots, loadOf, placementFits, type Worker, WORKER_TTL_MS } from './workers.ts'

/** Most jobs of one claim. */
const CLAIM_MOST = 200
/** jobs.md 17.2: no workers, overload, tenant limit. */
const AGAIN_MS = 2000
/** Verbs that run at the same time, in all and of one tenant. They wait for others most of their time. */
const MOST_VERBS = 512
const MOST_VERBS_OF_TENANT = 128
/**
 * Jobs on their way by a topic alone, of one tenant and topic: nobody says how many its subscribers take. More where they have just
 * shown that they end more in a second.
 */
const MOST_BY_TOPIC = 128
const EVER_BY_TOPIC = 4096
/** Whether somebody listens on a subject is asked again after so long. */
const LISTENER_MS = 60_000
/** A worker that does not listen on its own subject is not tried there for so long. */
const NO_DIRECT_MS = 10_000
/** Nobody answers a delivery; "no responders" comes within milliseconds. */
const PROBE_MS = 400
/** After the bus came back, a worker that is not there yet is looked for so often. */
const RESEND_MS = 500
/** Replicas load a changed policy within this time of each other. */
const POLICY_SLACK_MS = 3000

/** A claim of this replica that has not ended. */
export interface Active {
  claimed: Claimed
  worker: Worker | null
  /** Ends what runs in this process. */
  abort: AbortController | null
  /** When it was last sent to a worker; 0 = not yet. */
  sentAt: Instant
  /** Until when whoever took it before the bus was away may come back to it. */
  awaitedUntil: Instant
}

export interface Dispatcher {
  /** A free worker's slot for a job that is about to be recorded (loans.ts). */
  lend(row: NewRow): Loan | undefined
  hint(pool: string, tenantId: string): void
  /** Something became free: looks whether work waits for it. */
  kick(): void
  /** Reads from the database what is ready and works on it. */
  scan(): Promise<void>
  find(tenantId: string, jobId: string): Active | undefined
  /** The job has ended or is another's now. */
  forget(tenantId: string, jobId: string): Active | undefined
  all(): IterableIterator<Active>
  /** Prolongs all claims; those that are no longer ours are given up. */
  renewAll(): Promise<void>
  /**
   * The bus was away: what went to workers since then is sent once more under the same fence, as it may have been lost, or its result.
   * Workers that keep the rule of CAP take the second one for what it is.
   */
  resend(since: Instant): void
  /** Claims whose worker is gone go back. */
  workersLost(lost: readonly Worker[]): Promise<void>
  /** Stops taking work. Resolves when no claim is under way. */
  stop(): Promise<void>
}

export interface DispatcherHooks {
  /** Runs a verb in this process. Takes over the claim. */
  run(active: Active): void
  /** Ends a claimed job that must not run. */
  refuse(claimed: Claimed, end: { state: 'denied' | 'failed'; code: string; message: string }): Promise<void>
  /** The claim is not ours any more: whatever runs for it must stop, and must not undo what was begun. */
  detach(active: Active): void
  /** Policy asks for approval although it did not before: the job goes back to the inbox. */
  holdAgain(claimed: Claimed): Promise<void>
}

const keyOf = (tenantId: string, id: string): string => `${tenantId} ${id}`

/** Claims ready jobs for whatever is free, and sends them on their way. One a replica. */
export function openDispatcher(core: Core, hooks: DispatcherHooks): Dispatcher {
  const { db, bus, clock, log, workers } = core
  const active = new Map<string, Active>()
  const byTenant = new Map<string, number>()
  const verbsOfTenant = new Map<string, number>()
  let verbs = 0
  const byTopic = new Map<string, number>()
  /** How many ended of those on their way by a topic, in this second and the one before. */
  const paces = new Map<string, { second: number; n: number; before: number }>()
  /** Pool → tenant → when it was last said that there is work. */
  const hints = new Map<string, Map<string, number>>()
  let hintSeq = 0
  const accountOf = tenantAccounts(core)
  /** Subjects with (true) or without listeners, and until when that is believed. */
  const listeners = new Map<string, { there: boolean; until: Instant }>()
  let working: Promise<void> | undefined
  let again = false
  let stopped = false
  let retry: NodeJS.Timeout | undefined
  const resends = new Set<NodeJS.Timeout>()

  const count = (map: Map<string, number>, key: string, by: number): void => {
    const next = (map.get(key) ?? 0) + by
    if (next <= 0) map.delete(key)
    else map.set(key, next)
  }

  function enter(entry: Active): void {
    const { claimed, worker } = entry
    const { tenantId, id, pool } = claimed
    active.set(keyOf(tenantId, id), entry)
    count(byTenant, tenantId, 1)
    if (claimed.verb !== null) {
      verbs += 1
      count(verbsOfTenant, tenantId, 1)
    } else if (worker === null) count(byTopic, `${tenantId} ${pool}`, 1)
  }

  function notePace(key: string): void {
    const second = Math.floor(clock.now() / 1000)
    const pace = paces.get(key)
    if (pace?.second === second) pace.n += 1
    else {
      if (paces.size > 10_000) paces.clear()
      paces.set(key, { second, n: 1, before: pace?.second === second - 1 ? pace.n : 0 })
    }
  }

  function mostByTopic(key: string): number {
    const pace = paces.get(key)
    if (!pace || pace.second < Math.floor(clock.now() / 1000) - 1) return MOST_BY_TOPIC
    return Math.min(EVER_BY_TOPIC, Math.max(MOST_BY_TOPIC, pace.n, pace.before))
  }

  function forget(tenantId: string, id: string): Active | undefined {
    const entry = active.get(keyOf(tenantId, id))
    if (!entry) return undefined
    active.delete(keyOf(tenantId, id))
    count(byTenant, tenantId, -1)
    if (entry.claimed.verb !== null) {
      verbs -= 1
      count(verbsOfTenant, tenantId, -1)
    } else if (entry.worker === null) {
      const key = `${tenantId} ${entry.claimed.pool}`
      count(byTopic, key, -1)
      if (entry.sentAt > 0) notePace(key)
    }
    if (entry.worker) entry.worker.inFlight -= 1
    promote(entry)
    return entry
  }

  /** Its end may make room for another of its concurrency key. */
  function promote({ claimed: { tenantId, request } }: Active): void {
    const concurrency = concurrencyOf(request.labels)
    if (!concurrency) return
    core.slots
      .promote(tenantId, concurrency.key)
      .then((n) => (n > 0 ? scan() : undefined))
      .catch((error: unknown) => log.warn({ err: error }, 'Jobs that wait for a key are let go by the next sweep'))
  }

  function hint(pool: string, tenantId: string): void {
    const tenants = hints.get(pool)
    hintSeq += 1
    if (tenants) tenants.set(tenantId, hintSeq)
    else hints.set(pool, new Map([[tenantId, hintSeq]]))
    kick()
  }

  function kick(): void {
    if (stopped || hints.size === 0) return
    if (working) {
      again = true
      return
    }
    working = rounds()
      .catch((error: unknown) => {
        log.warn({ err: error }, 'Claiming jobs failed; it is tried again')
        clearTimeout(retry)
        retry = setTimeout(kick, 500)
      })
      .finally(() => {
        working = undefined
        if (again) kick()
      })
  }

  async function rounds(): Promise<void> {
    for (;;) {
      again = false
      for (const [pool, tenants] of hints) {
        await drain(pool, tenants)
        if (tenants.size === 0) hints.delete(pool)
      }
      if (!again || stopped) return
    }
  }

  /** Claims from one pool once; what is left waits until the other pools had their turn. */
  async function drain(pool: string, tenants: Map<string, number>): Promise<void> {
    const route = routeOf(pool)
    if (stopped) return
    if (route.kind === 'topic') for (const tenantId of tenants.keys()) await accountOf.learn(tenantId)
    const slots = slotsFor(route, [...tenants.keys()])
    if (slots.length === 0) return
    const before = new Map(tenants)
    let claimed: Claimed[]
    try {
      claimed = await db.engine((tx) =>
        claim(
          tx,
          pool,
          slots.map(({ slot }) => slot),
          core.owner,
          clock.now(),
        ),
      )
    } catch (error) {
      for (const { worker } of slots) if (worker) worker.inFlight -= 1
      throw error
    }
    for (const { tenantId, n, request } of claimed) core.fair.served({ tenantId, pool, rank: rankOf(request) }, n)
    if (claimed.length > 0) crashPoint('claim:after-commit')
    const got = new Map<string, number>()
    for (const { tenantId } of claimed) count(got, tenantId, 1)
    const asked = new Map<string, number>()
    for (const { slot } of slots) count(asked, slot.tenantId, 1)
    for (const [tenantId, most] of asked) {
      // Fewer than there was room for: nothing is left, unless more was announced meanwhile.
      if ((got.get(tenantId) ?? 0) === most) again = true
      else if (tenants.get(tenantId) === before.get(tenantId)) tenants.delete(tenantId)
    }
    await begin(
      route,
      claimed,
      slots.map(({ worker }) => worker),
    )
  }

  interface Planned {
    slot: Slot
    worker: Worker | null
  }

  /** Room for jobs of these tenants, one each in turn. A planned worker counts as taken until the claim says otherwise. */
  function slotsFor(route: Route, tenants: readonly string[]): Planned[] {
    const planned: Planned[] = []
    const plannedBy = new Map<string, number>()
    let open = tenants
    while (open.length > 0 && planned.length < CLAIM_MOST) {
      const still: string[] = []
      for (const tenantId of open) {
        if (planned.length >= CLAIM_MOST) break
        const slot = slotFor(route, tenantId, plannedBy.get(tenantId) ?? 0, planned.length)
        if (!slot) continue
        planned.push(slot)
        count(plannedBy, tenantId, 1)
        still.push(tenantId)
      }
      open = still
    }
    return planned
  }

  function slotFor(route: Route, tenantId: string, ofTenant: number, inAll: number): Planned | undefined {
    if (route.kind === 'verb') {
      const room = verbs + inAll < MOST_VERBS && (verbsOfTenant.get(tenantId) ?? 0) + ofTenant < MOST_VERBS_OF_TENANT
      return room ? { slot: { tenantId, workerId: null, account: null }, worker: null } : undefined
    }
    if (route.kind === 'topic' && core.brakes.of(tenantId).topics.has(route.topic)) return undefined
    const candidates = candidatesFor(route, tenantId)
    if (candidates.length > 0) {
      const worker = leastLoaded(usable(tenantId, candidates))
      if (!worker) return undefined
      worker.inFlight += 1
      return { slot: { tenantId, workerId: worker.workerId, account: worker.account }, worker }
    }
    if (route.kind !== 'topic') return undefined
    const account = accountOf.known(tenantId)
    const key = `${tenantId} ${route.pool}`
    if (account === undefined || (byTopic.get(key) ?? 0) + ofTenant >= mostByTopic(key)) return undefined
    const heard = listeners.get(`${account} ${route.topic}`)
    if (heard && !heard.there && heard.until > clock.now()) return undefined
    // Until it is known that somebody listens, one job asks for all.
    if (!heard?.there && (byTopic.get(key) ?? 0) + ofTenant > 0) return undefined
    return { slot: { tenantId, workerId: null, account }, worker: null }
  }

  const candidatesFor = (route: Route, tenantId: string): Worker[] => candidatesOn(route, workers.live(tenantId))

  /** Without those that are drained or whose pool is paused. */
  function usable(tenantId: string, candidates: readonly Worker[]): readonly Worker[] {
    const { pools, drained } = core.brakes.of(tenantId)
    if (pools.size === 0 && drained.size === 0) return candidates
    return candidates.filter(({ workerId, pool }) => !drained.has(workerId) && !pools.has(pool))
  }

  function leastLoaded(candidates: readonly Worker[]): Worker | undefined {
    let best: Worker | undefined
    for (const worker of candidates) {
      if (freeSlots(worker) > 0 && (!best || loadOf(worker) < loadOf(best))) best = worker
    }
    return best
  }

  /** Sends claimed jobs on their way, after the checks of dispatch. */
  async function begin(route: Route, claimed: readonly Claimed[], planned: readonly (Worker | null)[]): Promise<void> {
    const spare = new Map<string, Worker>()
    for (const worker of planned) if (worker) spare.set(keyOf(worker.tenantId, worker.workerId), worker)
    const taken: Active[] = claimed.map((each) => ({
      claimed: each,
      worker: each.workerId === null ? null : (spare.get(keyOf(each.tenantId, each.workerId)) ?? null),
      abort: null,
      sentAt: 0,
      awaitedUntil: 0,
    }))
    // Every plan counted its worker; those whose slot stayed empty are free again.
    for (const worker of planned) if (worker) worker.inFlight -= 1
    for (const entry of taken) {
      if (entry.worker) entry.worker.inFlight += 1
      enter(entry)
    }
    const refused = await checks(taken).catch(async (error: unknown) => {
      // What could not be asked is not done: the claims go back, or run out where that fails too.
      await giveBack(taken, clock.now() + AGAIN_MS)
      throw error
    })
    const moved: Active[] = []
    const back: Active[] = []
    for (const entry of taken) {
      if (refused.has(entry)) continue
      if (entry.claimed.verb !== null) {
        dispatched(entry)
        hooks.run(entry)
        continue
      }
      const place = placed(route, entry)
      if (place === 'wait') back.push(entry)
      else {
        if (place === 'moved') moved.push(entry)
        send(entry)
      }
    }
    if (moved.length > 0)
      await db.engine((tx) =>
        reassign(
          tx,
          moved.map(({ claimed: each, worker }) => ({
            tenantId: each.tenantId,
            id: each.id,
            fence: each.fence,
            workerId: worker?.workerId ?? null,
            account: worker?.account ?? each.account,
          })),
        ),
      )
    if (back.length > 0) await giveBack(back, clock.now() + AGAIN_MS)
    if (taken.length > 0) crashPoint('dispatch:after-publish')
  }

  /**
   * What is asked again at dispatch: the approval still binds exactly this request, and policy, where it changed since, still allows it.
   * Returns those that do not run now; they are taken care of.
   */
  async function checks(taken: readonly Active[]): Promise<Set<Active>> {
    const refused = new Set<Active>()
    const drop = (entry: Active): void => {
      refused.add(entry)
      forget(entry.claimed.tenantId, entry.claimed.id)
    }
    const frozen = await core.frozen.among(taken)
    for (const entry of frozen) drop(entry)
    if (frozen.length > 0)
      await giveBackClaims(
        frozen.map(({ claimed }) => claimed),
        FROZEN_UNTIL,
      )
    const approved = taken.filter((entry) => entry.claimed.approvalId !== null && !refused.has(entry))
    if (approved.length > 0) {
      const hashes = await db.engine((tx) =>
        approvedHashes(
          tx,
          approved.map(({ claimed }) => claimed),
        ),
      )
      for (const entry of approved) {
        const { claimed } = entry
        if (hashes.get(claimed.approvalId ?? '') === requestHash(claimed.request, claimed.context)) continue
        drop(entry)
        await hooks.refuse(claimed, {
          state: 'denied',
          code: 'approval_stale_request',
          message: 'the approval is for another request',
        })
      }
    }
    const older = taken.filter((entry) => {
      const loaded = core.policy.peek(entry.claimed.tenantId)
      const since = loaded ? loaded.loadedAt + POLICY_SLACK_MS : Infinity
      return !refused.has(entry) && entry.claimed.createdAt < since
    })
    if (older.length > 0) await recheck(older, drop)
    await parkBraked(
      taken.filter((entry) => !refused.has(entry)),
      drop,
    )
    return refused
  }

  /** Jobs of paused topics, and those of which enough with the same concurrency key run, wait elsewhere in the queue. */
  async function parkBraked(entries: readonly Active[], drop: (entry: Active) => void): Promise<void> {
    const paused = entries.filter(({ claimed }) => core.brakes.of(claimed.tenantId).topics.has(claimed.request.topic))
    for (const entry of paused) drop(entry)
    if (paused.length > 0)
      await db.engine((tx) =>
        park(
          tx,
          paused.map(({ claimed: { tenantId, id, fence } }) => ({ tenantId, id, fence })),
        ),
      )
    const bids = entries.flatMap((entry) => {
      const concurrency = paused.includes(entry) ? undefined : concurrencyOf(entry.claimed.request.labels)
      const { tenantId, id, fence } = entry.claimed
      return concurrency ? [{ entry, tenantId, id, fence, ...concurrency }] : []
    })
    if (bids.length === 0) return
    const parked = await core.slots.take(bids)
    for (const { entry, tenantId, id } of bids) if (parked.has(keyOf(tenantId, id))) drop(entry)
  }

  async function recheck(older: readonly Active[], drop: (entry: Active) => void): Promise<void> {
    const decisions = await db.engine((tx) =>
      decisionsOf(
        tx,
        older.map(({ claimed }) => claimed),
      ),
    )
    for (const entry of older) {
      const { claimed } = entry
      const made = decisions.get(keyOf(claimed.tenantId, claimed.id))
      // A policy that cannot be read is as one that is not there: the job waits (decisions D5).
      const snapshot = await core.policy.current(claimed.tenantId).then(
        (loaded) => loaded.snapshot,
        () => undefined,
      )
      if (!snapshot) {
        drop(entry)
        await giveBackClaims([claimed], clock.now() + AGAIN_MS)
        continue
      }
      if (made?.snapshot === snapshot.id) continue
      const now = evaluate(snapshot, policyRequest(claimed.id, claimed.request, made?.facts ?? undefined))
      if (now.decision === 'DENY') {
        drop(entry)
        await hooks.refuse(claimed, { state: 'denied', code: 'safety_denied', message: now.reason })
      } else if (now.decision === 'THROTTLE') {
        drop(entry)
        await giveBackClaims([claimed], clock.now() + 5000)
      } else if (
        now.decision === 'REQUIRE_APPROVAL' &&
        (claimed.approvalId === null || made?.ruleDigest !== now.ruleDigest)
      ) {
        drop(entry)
        await hooks.holdAgain(claimed)
      }
    }
  }

  /** The worker of a claim: the one of its slot, the preferred one, or another that its labels allow. */
  function placed(route: Route, entry: Active): 'here' | 'moved' | 'wait' {
    const { claimed, worker } = entry
    const { tenantId, request, constraints } = claimed
    const limit = constraints?.budgets?.maxConcurrentJobs ?? 0
    if (limit > 0 && (byTenant.get(tenantId) ?? 0) > limit) return 'wait'
    if (!worker) return 'here'
    const labels = request.labels ?? {}
    const candidates = usable(tenantId, candidatesFor(route, tenantId))
    const advertised = new Set(candidates.flatMap((each) => Object.keys(each.labels)))
    const fitting = candidates.filter((each) => placementFits(labels, each, advertised))
    const preferred = fitting.find((each) => each.workerId === labels['preferred_worker_id'])
    if (preferred === worker || (!preferred && fitting.includes(worker))) return 'here'
    worker.inFlight -= 1
    entry.worker = null
    const other = preferred && freeSlots(preferred) > 0 ? preferred : leastLoaded(fitting)
    if (!other) {
      // Counted by topic while it has no worker; giving it back takes that off again.
      count(byTopic, `${tenantId} ${claimed.pool}`, 1)
      return 'wait'
    }
    other.inFlight += 1
    entry.worker = other
    return other === worker ? 'here' : 'moved'
  }

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
      hooks
        .refuse(claimed, { state: 'failed', code: 'payload_too_large', message: String(error) })
        .catch((failed: unknown) => log.error({ err: failed }, 'A job that is too large could not be ended'))
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
    if (worker && (await reach(account, `worker.${worker.workerId}.jobs`, bytes))) return dispatched(entry)
    if (await reach(account, topic, bytes)) return dispatched(entry)
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
    if (listeners.size > 50_000) listeners.clear()
    const believed = there ? LISTENER_MS : subject.startsWith('worker.') ? NO_DIRECT_MS : AGAIN_MS
    listeners.set(key, { there, until: clock.now() + believed })
    if (there) kick()
    return there
  }

  async function giveBack(entries: readonly Active[], runAt: Instant | null, lost = false): Promise<void> {
    for (const { claimed } of entries) forget(claimed.tenantId, claimed.id)
    await giveBackClaims(
      entries.map(({ claimed }) => claimed),
      runAt,
      lost,
    )
  }

  async function giveBackClaims(claims: readonly Claimed[], runAt: Instant | null, lost = false): Promise<void> {
    await db.engine((tx) =>
      release(
        tx,
        claims.map(({ tenantId, id, fence }) => ({ tenantId, id, fence, runAt, lost })),
      ),
    )
    if (runAt === null) for (const { pool, tenantId } of claims) hint(pool, tenantId)
  }

  async function scan(): Promise<void> {
    const first = await readyPools(db)
    core.fair.seen(first)
    for (const { pool, tenantId } of first) hint(pool, tenantId)
  }

  const find = (tenantId: string, jobId: string): Active | undefined => active.get(keyOf(tenantId, jobId))

  /** Where a job would go if it were claimed now, by the rules of `slotFor` and `placed`; undefined where it has to wait. */
  function choose(route: Route, tenantId: string, { labels = {} }: JobRequest): Place | undefined {
    if (stopped || route.kind === 'verb') return undefined
    if (route.kind === 'topic' && core.brakes.of(tenantId).topics.has(route.topic)) return undefined
    const all = candidatesFor(route, tenantId)
    if (all.length === 0) return route.kind === 'topic' ? byTopicAlone(route, tenantId) : undefined
    const candidates = usable(tenantId, all)
    const found = (worker: Worker | undefined): Place | undefined => worker && { worker, account: worker.account }
    if (Object.keys(labels).length === 0) return found(leastLoaded(candidates))
    const advertised = new Set(candidates.flatMap((each) => Object.keys(each.labels)))
    const fitting = candidates.filter((each) => placementFits(labels, each, advertised))
    const preferred = fitting.find((each) => each.workerId === labels['preferred_worker_id'])
    if (preferred) return found(freeSlots(preferred) > 0 ? preferred : undefined)
    return found(leastLoaded(fitting))
  }

  /** Only where it is known that somebody listens: else one claimed job asks for all. */
  function byTopicAlone({ topic, pool }: Extract<Route, { kind: 'topic' }>, tenantId: string): Place | undefined {
    const account = accountOf.known(tenantId)
    const heard = account === undefined ? undefined : listeners.get(`${account} ${topic}`)
    if (account === undefined || !heard?.there || heard.until <= clock.now()) return undefined
    const key = `${tenantId} ${pool}`
    return (byTopic.get(key) ?? 0) < mostByTopic(key) ? { worker: null, account } : undefined
  }

  const lend = openLoans({
    ...core,
    waits: (pool, tenantId) => hints.get(pool)?.has(tenantId) === true,
    choose,
    hold: (pool, tenantId, { worker }, by) => {
      if (worker) worker.inFlight += by
      else count(byTopic, `${tenantId} ${pool}`, by)
    },
    begin,
    isActive: (tenantId, jobId) => find(tenantId, jobId) !== undefined,
  })

  return {
    lend,
    hint,
    kick,
    find,
    forget,
    all: () => active.values(),
    scan,
    async renewAll() {
      const entries = [...active.values()]
      if (entries.length === 0) return
      const ours = await db.engine((tx) =>
        renew(
          tx,
          entries.map(({ claimed: { tenantId, id, fence } }) => ({ tenantId, id, fence })),
          clock.now(),
        ),
      )
      for (const entry of entries) {
        const { tenantId, id } = entry.claimed
        if (ours.has(keyOf(tenantId, id)) || find(tenantId, id) !== entry) continue
        forget(tenantId, id)
        hooks.detach(entry)
      }
      kick()
    },
    resend(since) {
      listeners.clear()
      for (const entry of active.values()) {
        if (entry.claimed.verb !== null || entry.sentAt < since) continue
        entry.awaitedUntil = clock.now() + WORKER_TTL_MS
        send(entry)
      }
      kick()
    },
    async workersLost(lost) {
      if (lost.length === 0) return
      // What was known of who listens was known with them.
      listeners.clear()
      const gone = new Set(lost)
      const entries = [...active.values()].filter(({ worker }) => worker !== null && gone.has(worker))
      const given = entries.filter(({ claimed }) => claimed.recoveries >= MAX_RECOVERIES)
      for (const entry of given) {
        forget(entry.claimed.tenantId, entry.claimed.id)
        await hooks.refuse(entry.claimed, {
          state: 'failed',
          code: 'worker_lost',
          message: 'worker after worker was lost',
        })
      }
      const rest = entries.filter((entry) => !given.includes(entry))
      if (rest.length > 0) await giveBack(rest, null, true)
    },
    async stop() {
      stopped = true
      clearTimeout(retry)
      for (const timer of resends) clearTimeout(timer)
      await working
    },
  }
}

/** The public key of a tenant's own account, which never changes. */
function tenantAccounts({ db, clock }: Core): {
  learn(tenantId: string): Promise<void>
  known(tenantId: string): string | undefined
} {
  const found = new Map<string, string>()
  const absent = new Map<string, Instant>()
  return {
    async learn(tenantId) {
      if (found.has(tenantId) || (absent.get(tenantId) ?? 0) > clock.now()) return
      const row = await db.tenant(tenantId, (tx) =>
        tx.maybe<{ key: string }>(sql`select public_key as key from nats_accounts where owner_id is null`),
      )
      if (row) found.set(tenantId, row.key)
      else absent.set(tenantId, clock.now() + AGAIN_MS)
    },
    known: (tenantId) => found.get(tenantId),
  }
}
