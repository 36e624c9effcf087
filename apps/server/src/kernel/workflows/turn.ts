import { setImmediate } from 'node:timers/promises'
import type { Accounts, Bus } from '../bus/index.ts'
import type { Approvals } from '../approvals/index.ts'
import type { Artifacts } from '../artifacts/index.ts'
import type { Clock, Instant } from '../clock/index.ts'
import { crashPoint } from '../crash/index.ts'
import { jsonb, type Tx } from '../db/index.ts'
import type { Feed } from '../events/index.ts'
import type { Identity } from '../identity/index.ts'
import { type JobEngine, microseconds, type StepJob } from '../jobs/index.ts'
import { advance, beginChild } from './advance.ts'
import { type Alert, sendAlert } from './alert.ts'
import { isChild, runEnded, stepEnded, TERMINAL } from './event-turn.ts'
import { collectChildren } from './collect.ts'
import { copyOf, differs, type Held, HeldRuns, sizeOf } from './held.ts'
import { eventsOf } from './inbox-events.ts'
import {
  clearInbox,
  dropTimers,
  lockRun,
  noteCancels,
  readInbox,
  setTimers,
  takeTimers,
  tellRun,
  type TimerRow,
  type Waiting,
  writeRun,
} from './run-rows.ts'
import { showChange, tellStatus } from './run-news.ts'
import { type Starter, starterToday } from './starter.ts'
import type { Effect, RunEvent, RunState, RunStatus, StepRun, TimelineEvent } from './state.ts'
import { stepJob } from './step-job.ts'
import { askForStep, stepReference } from './step-approval.ts'
import { cancelChildren, insertChildren, nextChildren, stepOf, stepsByKey, writeSteps } from './step-rows.ts'
import { roomFor, startSubRun } from './sub-run.ts'
import type { World } from './world.ts'
import { worldFor } from './world-for.ts'

export interface TurnParts {
  clock: Clock
  bus: Bus
  feed: Feed
  accounts: Accounts
  identity: Pick<Identity, 'today'>
  approvals: Approvals
  artifacts: Artifacts
  jobs: JobEngine
  /** How long values live that are too large for the run's own rows. */
  resultLifeMs: number
}

/** What is to be done once the turn is committed. */
export interface Turned {
  status: RunStatus
  /** There is more to take in. */
  more: boolean
  /** Jobs wait to be cancelled. */
  cancels: boolean
  /** Other runs that were told something. */
  told: string[]
  /** The earliest of the timers that were set. */
  timerAt?: Instant
}

export interface TurnOptions {
  /** Undefined is returned when somebody else has the run. */
  skip: boolean
  /** Events that do not come from the inbox. */
  events?: readonly RunEvent[]
}

/** Most children that begin in one transaction, and most entries that are taken in. */
const CHILDREN = 500
/** Of these so many in the one that records the run: whoever starts it waits for that, and sees nothing of it before. */
const FIRST_CHILDREN = 50
const ENTRIES = 500
/** Between two turns of the event loop. */
const BREATHE_MS = 8
/** One turn of a run: what it has yet to take in is taken in, and what follows is done, in the caller's transaction. */
export interface Turns {
  take(tx: Tx, runId: string, options: TurnOptions): Promise<Turned | undefined>
  /** The first turn of a run whose row this transaction has just written; its steps are written with it. */
  begin(tx: Tx, held: Held): Promise<Turned>
}

export function openTurns(parts: TurnParts): Turns {
  const runs = new HeldRuns()
  return {
    async take(tx, runId, { skip, events = [] }) {
      // Sent together: the inbox is read once the lock is held.
      const [head, inbox] = await Promise.all([lockRun(tx, runId, skip), readInbox(tx, runId, ENTRIES)])
      if (!head) return undefined
      const held = await runs.take(tx, runId, head.writeNo)
      const turning = new Turning(parts, tx, held, head)
      const turned = await turning.run(inbox, events)
      tx.afterCommit(() => runs.put(tx.tenantId, held, turning.writeNo))
      return turned
    },
    async begin(tx, held) {
      const turning = new Turning(parts, tx, held, { writeNo: 1, nextSeq: 1 })
      const turned = await turning.begin()
      tx.afterCommit(() => runs.put(tx.tenantId, held, turning.writeNo))
      return turned
    },
  }
}

/** The work of one turn. Nothing of it outlives the transaction. */
class Turning {
  readonly #parts: TurnParts
  readonly #tx: Tx
  readonly #held: Held
  readonly #now: Instant
  readonly #before = new Map<string, StepRun>()
  readonly #statusBefore: RunStatus
  readonly #contextBefore: RunState['context']
  readonly #timeline: TimelineEvent[] = []
  readonly #submits: Extract<Effect, { kind: 'submit' }>[] = []
  readonly #timers = new Map<string, TimerRow & { at: Instant }>()
  readonly #cancels = new Map<string, string>()
  readonly #told = new Set<string>()
  readonly #alerts: Alert[] = []
  readonly #shown = new Map<string, StepRun>()
  #world: World | undefined
  /** Asked once a turn. */
  #starter: Starter
  #effects: Effect[] = []
  /** Children to begin, by their step. */
  readonly #begins = new Map<string, number>()
  #mayBegin = CHILDREN
  #breathedAt = performance.now()
  /** Sub-runs that the tree may still begin. */
  #room: number | undefined
  #nextSeq: number
  #wrote = false
  writeNo: number

  constructor(parts: TurnParts, tx: Tx, held: Held, head: { writeNo: number; nextSeq: number }) {
    this.#parts = parts
    this.#tx = tx
    this.#held = held
    this.#starter = { principal: held.facts.principal }
    this.#now = parts.clock.now()
    this.#statusBefore = held.state.status
    this.#contextBefore = held.state.context
    this.#nextSeq = head.nextSeq
    this.writeNo = head.writeNo
    for (const [key, step] of held.state.steps) this.#before.set(key, copyOf(step))
  }

  async run(inbox: readonly Waiting[], extra: readonly RunEvent[]): Promise<Turned> {
    const { state } = this.#held
    const timers = this.#held.timed ? await takeTimers(this.#tx, state.id, this.#now) : []
    await this.#loadChildren([...inbox.map(({ step }) => step), ...timers.map(({ step }) => step)])
    this.#starter = await starterToday(this.#parts.identity, this.#held.facts.principal)
    this.#world = await worldFor(this.#tx, this.#held.plan, this.#now, this.#starter.refusal)
    const { events, effects } = await eventsOf(this.#tx, this.#parts.artifacts, inbox, this.#now)
    this.#push(effects)
    for (const event of events) await this.#take(event)
    for (const timer of timers)
      await this.#take(timer.step === '' ? { kind: 'run-timeout' } : { kind: 'timer', ...timer })
    for (const event of extra) await this.#take(event)
    return this.#finish(inbox.map(({ n }) => n))
  }

  /** The first turn of a run that this transaction records: whoever starts it has just shown what they may. */
  async begin(): Promise<Turned> {
    this.#before.clear()
    this.#mayBegin = FIRST_CHILDREN
    this.#world = await worldFor(this.#tx, this.#held.plan, this.#now)
    await this.#take({ kind: 'start' })
    return this.#finish([])
  }

  /** Steps that are no top-level ones are children: their rows come to hand by themselves. */
  async #loadChildren(keys: readonly string[]): Promise<void> {
    const { state } = this.#held
    const wanted = [...new Set(keys)].filter((key) => key !== '' && !state.steps.has(key))
    if (wanted.length === 0) return
    for (const row of await stepsByKey(this.#tx, state.id, wanted)) this.#hand(stepOf(row))
  }

  #hand(step: StepRun): StepRun {
    const known = this.#held.state.steps.get(step.key)
    if (known) return known
    this.#held.state.steps.set(step.key, step)
    this.#before.set(step.key, copyOf(step))
    return step
  }

  async #take(event: RunEvent): Promise<void> {
    // Of a child whose row is gone, or of a step that the plan does not know.
    if ('step' in event && !this.#held.state.steps.has(event.step)) return
    this.#push(advance(this.#held.plan, this.#held.state, event, this.#theWorld()))
    await this.#settle()
  }

  #theWorld(): World {
    if (!this.#world) throw new Error('a turn without its world')
    return this.#world
  }

  #push(effects: readonly Effect[]): void {
    this.#effects.push(...effects)
  }

  /** Does what is to be done at once. Children begin, and jobs are submitted, for all events of the turn together. */
  async #settle(): Promise<void> {
    for (let effect = this.#effects.shift(); effect; effect = this.#effects.shift()) {
      await this.#breathe()
      await this.#apply(effect)
    }
  }

  /** Does what is to be done until nothing follows any more. */
  async #drain(): Promise<void> {
    for (;;) {
      await this.#settle()
      const [begin] = this.#begins
      if (begin) {
        this.#begins.delete(begin[0])
        await this.#beginChildren(...begin)
      } else if (this.#submits.length > 0) await this.#submit()
      else return
    }
  }

  async #apply(effect: Effect): Promise<void> {
    const { state } = this.#held
    switch (effect.kind) {
      case 'submit':
        this.#submits.push(effect)
        return
      case 'timeline':
        this.#timeline.push(effect.event)
        return
      case 'timer':
        this.#held.timed = true
        this.#timers.set(`${effect.step} ${effect.purpose}`, effect)
        return
      case 'run-timer':
        this.#held.timed = true
        this.#timers.set('', { step: '', purpose: 'timeout', attempt: 0, at: effect.at })
        return
      case 'cancel-job':
        this.#cancels.set(effect.jobId, effect.reason)
        return
      case 'cancel-run':
        await this.#cancelRun(effect.runId, effect.reason)
        return
      case 'make-children':
        await insertChildren(this.#tx, state.id, effect.step, effect.items, effect.from ?? 0)
        return
      case 'begin-children':
        this.#begins.set(effect.step, (this.#begins.get(effect.step) ?? 0) + effect.count)
        return
      case 'collect-children':
        await this.#collect(effect)
        return
      case 'cancel-children':
        await this.#cancelChildren(effect.step, effect.reason)
        return
      case 'ask':
        await askForStep(this.#tx, this.#parts.approvals, this.#held, effect)
        return
      case 'withdraw':
        await this.#parts.approvals.withdraw(this.#tx, 'step', stepReference(state.id, effect.step))
        return
      case 'notify':
        this.#alerts.push(effect)
        return
      case 'start-run': {
        this.#room ??= await roomFor(this.#tx, this.#held)
        const failed = await startSubRun(this.#tx, this.#held, this.#starter.principal, effect, this.#now, this.#room--)
        if (failed === undefined) this.#told.add(effect.runId)
        else {
          const error = { message: failed, code: 'sub_run_refused' }
          const { step, runId } = effect
          this.#push(
            advance(
              this.#held.plan,
              state,
              { kind: 'run-ended', step, runId, status: 'failed', error },
              this.#theWorld(),
            ),
          )
        }
        return
      }
      default:
        throw new Error(`The engine knows no effect ${(effect as { kind: string }).kind}`)
    }
  }

  async #submit(): Promise<void> {
    const { facts, plan, state } = this.#held
    const taken = this.#submits.splice(0)
    const order = Object.keys(plan.nodes)
    const jobs = taken.map((effect): StepJob => {
      const nodeId = state.steps.get(effect.step)?.nodeId ?? effect.step
      return stepJob(effect, facts, state.input, order.indexOf(nodeId))
    })
    const told = await this.#parts.jobs.submitMany(this.#tx, this.#starter.principal, jobs)
    for (const [index, { step, jobId }] of taken.entries()) {
      const answer = told[index]
      if (!answer || !('code' in answer)) continue
      const kind = answer.state === 'ended' ? answer.end : 'denied'
      const end = { kind, code: answer.code, message: answer.message }
      this.#push(advance(plan, state, { kind: 'job-ended', step, jobId, end }, this.#theWorld()))
    }
  }

  /** Schemas and expressions of many children take their time: others get their turn between them. */
  async #breathe(): Promise<void> {
    if (performance.now() - this.#breathedAt < BREATHE_MS) return
    await setImmediate()
    this.#breathedAt = performance.now()
  }

  /** What does not fit into this transaction is left to the next ones. */
  async #beginChildren(nodeId: string, count: number): Promise<void> {
    const { plan, state } = this.#held
    const parent = state.steps.get(nodeId)
    if (!parent?.children || parent.status !== 'running' || runEnded(state)) return
    const now = Math.min(count, this.#mayBegin)
    if (now > 0) {
      const rows = await nextChildren(this.#tx, state.id, nodeId, parent.children.begun, now)
      this.#mayBegin -= rows.length
      for (const row of rows) {
        // One of them may have failed at once, and the others with it.
        if (parent.status !== 'running') return
        this.#push(beginChild(plan, state, parent, this.#hand(stepOf(row)), this.#theWorld()))
        await this.#breathe()
      }
    }
    if (count > now) {
      await tellRun(this.#tx, state.id, { kind: 'begin', step: nodeId, body: { count: count - now } })
      this.#told.add(state.id)
    }
  }

  async #collect(effect: Extract<Effect, { kind: 'collect-children' }>): Promise<void> {
    const { plan, state } = this.#held
    await this.#writeSteps()
    const collected = await collectChildren(this.#tx, state.id, effect, this.#now, this.#parts.resultLifeMs)
    this.#push(advance(plan, state, collected, this.#theWorld()))
  }

  async #cancelChildren(nodeId: string, reason: string): Promise<void> {
    const { state } = this.#held
    const mine = [...state.steps.values()].filter((step) => step.nodeId === nodeId && isChild(step))
    const stopped: { key: string; jobId?: string | null; childRunId?: string | null; approvalId?: string | null }[] = []
    for (const child of mine) {
      if (stepEnded(child)) continue
      child.status = 'cancelled'
      child.completedAt = this.#now
      delete child.nextAttemptAt
      stopped.push(child)
    }
    stopped.push(
      ...(await cancelChildren(
        this.#tx,
        state.id,
        nodeId,
        this.#now,
        mine.map(({ key }) => key),
      )),
    )
    for (const { key, jobId, childRunId, approvalId } of stopped) {
      if (jobId) this.#cancels.set(jobId, reason)
      if (childRunId) await this.#cancelRun(childRunId, reason)
      if (approvalId) await this.#parts.approvals.withdraw(this.#tx, 'step', stepReference(state.id, key))
    }
  }

  async #cancelRun(runId: string, reason: string): Promise<void> {
    await tellRun(this.#tx, runId, { kind: 'cancel', body: { reason } })
    this.#told.add(runId)
  }

  /** Sends the steps that have changed; they are written once this resolves. */
  #writeSteps(): Promise<void> {
    const changed = [...this.#held.state.steps.values()].filter((step) => differs(step, this.#before.get(step.key)))
    if (changed.length === 0) return Promise.resolve()
    const writing = writeSteps(this.#tx, this.#held.state.id, changed)
    this.#wrote = true
    for (const step of changed) {
      this.#held.bytes += sizeOf(step.output) + sizeOf(step.input)
      this.#before.set(step.key, copyOf(step))
      this.#shown.set(step.key, this.#before.get(step.key) as StepRun)
    }
    return writing
  }

  async #finish(inbox: readonly number[]): Promise<Turned> {
    await this.#drain()
    const tx = this.#tx
    const { state, facts } = this.#held
    const writing = this.#writeSteps()
    // Never changed in place: another one is new.
    const context = state.context === this.#contextBefore ? undefined : jsonb(state.context)
    const changed =
      this.#wrote || state.status !== this.#statusBefore || context !== undefined || this.#timeline.length > 0
    const ended = runEnded(state) && !TERMINAL.has(this.#statusBefore)
    if (changed) {
      this.writeNo += 1
      const written = writeRun(tx, state, {
        writeNo: this.writeNo,
        nextSeq: this.#nextSeq,
        updatedUs: microseconds(this.#now),
        context,
        events: this.#timeline,
        inbox,
        now: this.#now,
      })
      // Behind the steps on the same connection, in one round trip.
      ;[this.#nextSeq] = await Promise.all([written, writing])
    } else if (inbox.length > 0) await clearInbox(tx, state.id, inbox)
    await this.#writeTimers(ended)
    await noteCancels(tx, state.id, this.#cancels)
    if (state.status !== this.#statusBefore) await tellStatus(tx, this.#held, this.#statusBefore, this.#now)
    if (this.#alerts.length > 0) await this.#sendAlerts()
    for (const [key, step] of state.steps) if (isChild(step)) state.steps.delete(key)
    crashPoint('run:before-commit')
    const timerAt = Math.min(...[...this.#timers.values()].map((timer) => timer.at))
    tx.afterCommit(() => {
      crashPoint('run:after-commit')
      if (changed) showChange(this.#parts.feed, tx.tenantId, this.#held, [...this.#shown.values()], this.#now)
    })
    return {
      status: state.status,
      more: inbox.length === ENTRIES,
      cancels: this.#cancels.size > 0,
      told: [...this.#told, ...(ended && facts.parentRunId !== null ? [facts.parentRunId] : [])],
      ...(Number.isFinite(timerAt) ? { timerAt } : {}),
    }
  }

  async #writeTimers(ended: boolean): Promise<void> {
    const { state } = this.#held
    if (!this.#held.timed) return
    if (ended) {
      await dropTimers(this.#tx, state.id, undefined)
      return
    }
    const over = [...this.#shown.values()].filter(({ completedAt }) => completedAt !== undefined).map(({ key }) => key)
    if (over.length > 0) await dropTimers(this.#tx, state.id, over)
    const open = [...this.#timers.values()].filter(({ step }) => !over.includes(step))
    await setTimers(this.#tx, state.id, open)
  }

  async #sendAlerts(): Promise<void> {
    const { publicKey } = await this.#parts.accounts.ensureTenantAccount(this.#tx, this.#tx.tenantId)
    const alerts = this.#alerts
    const { id } = this.#held.state
    const { tenantId } = this.#tx
    this.#tx.afterCommit(() => {
      for (const alert of alerts)
        sendAlert(this.#parts, { tenantId, account: publicKey, runId: id, at: this.#now }, alert)
    })
  }
}
