import { LRUCache } from 'lru-cache'
import type { Instant } from '../clock/index.ts'
import { type Active, keyOf } from './active.ts'
import type { Core } from './core.ts'
import { crashPoint } from '../crash/index.ts'
import { AGAIN_MS } from './delays.ts'
import { openDelivery } from './delivery.ts'
import { type CheckHooks, openDispatchChecks } from './dispatch-checks.ts'
import { candidatesOn } from './obstacles.ts'
import { type Loan, openLoans, type Place } from './loans.ts'
import { routeOf, type Route } from './pools.ts'
import { claim, type Claimed, MAX_RECOVERIES, readyPools, reassign, release, renew, type Slot } from './queue.ts'
import { type JobRequest, rankOf } from './request.ts'
import { concurrencyOf } from './slots.ts'
import type { NewRow } from './store.ts'
import { tenantAccounts } from './tenant-accounts.ts'
import { count, openUnderWay } from './under-way.ts'
import { freeSlots, loadOf, placementFits, type Worker, WORKER_TTL_MS } from './workers.ts'

/** Most jobs of one claim. */
const CLAIM_MOST = 200

/** Longer than a claim is on its way to its worker. */
const WITHDRAWN_MS = 30_000

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
  /** The same of a job that was ended by others (a cancel, its time) while a worker may have it: what is still on its way here goes no further. */
  withdraw(tenantId: string, jobId: string): Active | undefined
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

export interface DispatcherHooks extends Pick<CheckHooks, 'refuse' | 'holdAgain'> {
  /** Runs a verb in this process. Takes over the claim. */
  run(active: Active): void
  /** The claim is not ours any more: whatever runs for it must stop, and must not undo what was begun. */
  detach(active: Active): void
  /** Its worker may have got it after it was told to stop: it is told again. */
  recall(active: Active): void
}

/** The workers whose labels fit a job's, and the one that it prefers. */
function fittingOf(candidates: readonly Worker[], labels: Readonly<Record<string, string>>) {
  const advertised = new Set(candidates.flatMap((each) => Object.keys(each.labels)))
  const fitting = candidates.filter((each) => placementFits(labels, each, advertised))
  return { fitting, preferred: fitting.find((each) => each.workerId === labels['preferred_worker_id']) }
}

/** Claims ready jobs for whatever is free, and sends them on their way. One a replica. */
export function openDispatcher(core: Core, hooks: DispatcherHooks): Dispatcher {
  const { db, clock, log, workers } = core
  const active = new Map<string, Active>()
  /** Jobs that were ended by others; an id never comes back. */
  const withdrawn = new LRUCache<string, true>({ max: 20_000, ttl: WITHDRAWN_MS })
  const underWay = openUnderWay(clock)
  /** Pool → tenant → when it was last said that there is work. */
  const hints = new Map<string, Map<string, number>>()
  let hintSeq = 0
  const accountOf = tenantAccounts(core)
  let working: Promise<void> | undefined
  let again = false
  let stopped = false
  let retry: NodeJS.Timeout | undefined

  const find = (tenantId: string, jobId: string): Active | undefined => active.get(keyOf(tenantId, jobId))
  const { refuse, holdAgain } = hooks
  const check = openDispatchChecks(core, { refuse, holdAgain, forget, giveBack: giveBackClaims })
  const delivery = openDelivery(core, { isWithdrawn, find, forget, refuse, giveBack, kick, recall: hooks.recall })

  function enter(entry: Active): void {
    active.set(keyOf(entry.claimed.tenantId, entry.claimed.id), entry)
    underWay.enter(entry)
  }

  function forget(tenantId: string, id: string): Active | undefined {
    const entry = active.get(keyOf(tenantId, id))
    if (!entry) return undefined
    active.delete(keyOf(tenantId, id))
    underWay.leave(entry)
    if (entry.worker) entry.worker.inFlight -= 1
    promote(entry)
    return entry
  }

  function isWithdrawn({ claimed: { tenantId, id } }: Active): boolean {
    return withdrawn.has(keyOf(tenantId, id))
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
      const room = underWay.verbFits(tenantId, ofTenant, inAll)
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
    const going = underWay.byTopic(tenantId, route.pool) + ofTenant
    if (account === undefined || going >= underWay.mostByTopic(tenantId, route.pool)) return undefined
    const heard = delivery.heard(account, route.topic)
    if (heard && !heard.there && heard.until > clock.now()) return undefined
    // Until it is known that somebody listens, one job asks for all.
    if (!heard?.there && going > 0) return undefined
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
    const refused = await check(taken).catch(async (error: unknown) => {
      // What could not be asked is not done: the claims go back, or run out where that fails too.
      await giveBack(taken, clock.now() + AGAIN_MS)
      throw error
    })
    const moved: Active[] = []
    const back: Active[] = []
    for (const entry of taken) {
      if (refused.has(entry)) continue
      if (isWithdrawn(entry)) {
        // Also of one that was ended before it came onto our list.
        if (find(entry.claimed.tenantId, entry.claimed.id) === entry) forget(entry.claimed.tenantId, entry.claimed.id)
        continue
      }
      if (entry.claimed.verb !== null) {
        delivery.dispatched(entry)
        hooks.run(entry)
        continue
      }
      const place = placed(route, entry)
      if (place === 'wait') back.push(entry)
      else {
        if (place === 'moved') moved.push(entry)
        delivery.send(entry)
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

  /** The worker of a claim: the one of its slot, the preferred one, or another that its labels allow. */
  function placed(route: Route, entry: Active): 'here' | 'moved' | 'wait' {
    const { claimed, worker } = entry
    const { tenantId, request, constraints } = claimed
    const limit = constraints?.budgets?.maxConcurrentJobs ?? 0
    if (limit > 0 && underWay.of(tenantId) > limit) return 'wait'
    if (!worker) return 'here'
    const labels = request.labels ?? {}
    const { fitting, preferred } = fittingOf(usable(tenantId, candidatesFor(route, tenantId)), labels)
    if (preferred === worker || (!preferred && fitting.includes(worker))) return 'here'
    worker.inFlight -= 1
    entry.worker = null
    const other = preferred && freeSlots(preferred) > 0 ? preferred : leastLoaded(fitting)
    if (!other) {
      // Counted by topic while it has no worker; giving it back takes that off again.
      underWay.holdTopic(tenantId, claimed.pool, 1)
      return 'wait'
    }
    other.inFlight += 1
    entry.worker = other
    return other === worker ? 'here' : 'moved'
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

  /** Where a job would go if it were claimed now, by the rules of `slotFor` and `placed`; undefined where it has to wait. */
  function choose(route: Route, tenantId: string, { labels = {} }: JobRequest): Place | undefined {
    if (stopped || route.kind === 'verb') return undefined
    if (route.kind === 'topic' && core.brakes.of(tenantId).topics.has(route.topic)) return undefined
    const all = candidatesFor(route, tenantId)
    if (all.length === 0) return route.kind === 'topic' ? byTopicAlone(route, tenantId) : undefined
    const candidates = usable(tenantId, all)
    const found = (worker: Worker | undefined): Place | undefined => worker && { worker, account: worker.account }
    if (Object.keys(labels).length === 0) return found(leastLoaded(candidates))
    const { fitting, preferred } = fittingOf(candidates, labels)
    if (preferred) return found(freeSlots(preferred) > 0 ? preferred : undefined)
    return found(leastLoaded(fitting))
  }

  /** Only where it is known that somebody listens: else one claimed job asks for all. */
  function byTopicAlone({ topic, pool }: Extract<Route, { kind: 'topic' }>, tenantId: string): Place | undefined {
    const account = accountOf.known(tenantId)
    const heard = account === undefined ? undefined : delivery.heard(account, topic)
    if (account === undefined || !heard?.there || heard.until <= clock.now()) return undefined
    const fits = underWay.byTopic(tenantId, pool) < underWay.mostByTopic(tenantId, pool)
    return fits ? { worker: null, account } : undefined
  }

  const lend = openLoans({
    ...core,
    waits: (pool, tenantId) => hints.get(pool)?.has(tenantId) === true,
    choose,
    hold: (pool, tenantId, { worker }, by) => {
      if (worker) worker.inFlight += by
      else underWay.holdTopic(tenantId, pool, by)
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
    withdraw(tenantId, id) {
      withdrawn.set(keyOf(tenantId, id), true)
      return forget(tenantId, id)
    },
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
      delivery.forgetListeners()
      for (const entry of active.values()) {
        if (entry.claimed.verb !== null || entry.sentAt < since) continue
        entry.awaitedUntil = clock.now() + WORKER_TTL_MS
        delivery.send(entry)
      }
      kick()
    },
    async workersLost(lost) {
      if (lost.length === 0) return
      // What was known of who listens was known with them.
      delivery.forgetListeners()
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
      delivery.stop()
      await working
    },
  }
}
