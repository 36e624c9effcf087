import type { Instant } from '../clock/index.ts'
import assert from 'node:assert/strict'
import { advance, beginChild, freshSteps } from './advance.ts'
import { stepEnded } from './event-turn.ts'
import { compileDefinition } from './compile.ts'
import { parseDefinition } from './parse-definition.ts'
import type { Plan, SchemaReference } from './plan.ts'
import type { Effect, RunEvent, RunState, StepRun, TimelineEvent } from './state.ts'

export type Submitted = Extract<Effect, { kind: 'submit' }>
export type Timer = Extract<Effect, { kind: 'timer' }>
export type StartedRun = Extract<Effect, { kind: 'start-run' }>

/** A run that has not begun: one pending row for each node of its plan. */
export function newRun(plan: Plan, { id, input }: Pick<RunState, 'id' | 'input'>): RunState {
  const steps = freshSteps(plan).map((step): [string, StepRun] => [step.key, step])
  return { id, status: 'pending', input, context: {}, dryRun: false, steps: new Map(steps) }
}

/**
 * Plays a run by hand, without a database: keeps what the engine would keep (rows of children, open jobs, questions, sub-runs, timers) and does
 * with effects what it does, in their order. For tests of the pure half; a child's row is in `run.steps` only while an event is about it.
 */
export class RunPlayer {
  readonly plan: Plan
  readonly run: RunState
  readonly children = new Map<string, StepRun[]>()
  readonly jobs = new Map<string, Submitted>()
  readonly runs = new Map<string, StartedRun>()
  readonly asked = new Set<string>()
  readonly timers: Timer[] = []
  readonly timeline: TimelineEvent[] = []
  readonly submitted: Submitted[] = []
  readonly notified: Extract<Effect, { kind: 'notify' }>[] = []
  readonly cancelled: string[] = []
  now: Instant = 1_000_000
  runDeadline: Instant | undefined
  /** What a schema with `{const: …}` wants; others fit all. */
  validate = ({ inline }: SchemaReference, value: unknown): string | undefined => {
    const wanted = (inline as { const?: unknown } | undefined)?.const
    return wanted === undefined || wanted === value ? undefined : `must be ${String(wanted)}`
  }
  #made = 0

  constructor(plan: Plan, input: Record<string, unknown> = {}) {
    this.plan = plan
    this.run = newRun(plan, { id: 'run', input })
  }

  start(): this {
    this.send({ kind: 'start' })
    return this
  }

  step(key: string): StepRun {
    const step = this.run.steps.get(key) ?? this.childOf(key)
    if (!step) throw new Error(`no step ${key}`)
    return step
  }

  childOf(key: string): StepRun | undefined {
    const [, parent, index] = /^(.+)\[(\d+)\]$/.exec(key) ?? []
    return parent === undefined ? undefined : this.children.get(parent)?.[Number(index)]
  }

  statuses(): Record<string, string> {
    return Object.fromEntries([...this.run.steps].map(([key, { status }]) => [key, status]))
  }

  /** Keys of steps that have a job open, in the order of their submission. */
  running(): string[] {
    return [...this.jobs.values()].map(({ step }) => step)
  }

  /** Takes the event in; answers how many effects it had. */
  send(event: RunEvent): number {
    const child = 'step' in event ? this.childOf(event.step) : undefined
    if (child) this.run.steps.set(child.key, child)
    const effects = advance(this.plan, this.run, event, this.#world())
    this.#apply(effects)
    for (const [key, step] of this.run.steps) if (step.index !== undefined) this.run.steps.delete(key)
    return effects.length
  }

  succeed(step: string, output?: unknown): void {
    this.#end(step, output === undefined ? { kind: 'succeeded' } : { kind: 'succeeded', output })
  }

  fail(step: string, message = 'boom', kind: 'failed' | 'timed_out' | 'cancelled' | 'denied' = 'failed'): void {
    this.#end(step, { kind, message, code: 'test' })
  }

  #end(step: string, end: Extract<RunEvent, { kind: 'job-ended' }>['end']): void {
    const job = [...this.jobs.values()].find((each) => each.step === step)
    if (!job) throw new Error(`${step} has no open job; open: ${this.running().join(', ')}`)
    this.jobs.delete(job.jobId)
    this.send({ kind: 'job-ended', step, jobId: job.jobId, end })
  }

  decide(step: string, approved: boolean, value?: unknown): void {
    this.send({ kind: 'decided', step, approved, by: 'ann', ...(value === undefined ? {} : { value }) })
  }

  /** Moves time to the next timer and fires it. */
  fire(): Timer {
    const timer = this.timers.toSorted((a, b) => a.at - b.at)[0]
    if (!timer) throw new Error('no timer is set')
    this.fireTimer(timer)
    return timer
  }

  fireTimer(timer: Timer): void {
    this.timers.splice(this.timers.indexOf(timer), 1)
    this.now = Math.max(this.now, timer.at)
    this.send({ kind: 'timer', step: timer.step, purpose: timer.purpose, attempt: timer.attempt })
  }

  #world() {
    return { now: this.now, newId: () => `sub-${++this.#made}`, validate: this.validate }
  }

  #apply(first: readonly Effect[]): void {
    const effects = [...first]
    for (let effect = effects.shift(); effect; effect = effects.shift()) effects.push(...this.#one(effect))
  }

  #one(effect: Effect): Effect[] {
    switch (effect.kind) {
      case 'submit':
        this.jobs.set(effect.jobId, effect)
        this.submitted.push(effect)
        return []
      case 'cancel-job':
        this.cancelled.push(effect.jobId)
        this.jobs.delete(effect.jobId)
        return []
      case 'make-children':
        this.#makeChildren(effect)
        return []
      case 'begin-children':
        return this.#beginChildren(effect.step, effect.count)
      case 'collect-children': {
        const output = this.children.get(effect.step)?.map((child) => child.output ?? null)
        return advance(this.plan, this.run, { kind: 'children-collected', step: effect.step, output }, this.#world())
      }
      case 'cancel-children':
        for (const child of this.children.get(effect.step) ?? []) this.#cancelChild(child)
        return []
      case 'ask':
        this.asked.add(effect.step)
        return []
      case 'withdraw':
        this.asked.delete(effect.step)
        return []
      case 'timer':
        this.timers.push(effect)
        return []
      case 'run-timer':
        this.runDeadline = effect.at
        return []
      case 'notify':
        this.notified.push(effect)
        return []
      case 'start-run':
        this.runs.set(effect.runId, effect)
        return []
      case 'cancel-run':
        this.cancelled.push(effect.runId)
        this.runs.delete(effect.runId)
        return []
      case 'timeline':
        this.timeline.push(effect.event)
        return []
    }
  }

  #makeChildren({ step, items, from = 0 }: Extract<Effect, { kind: 'make-children' }>): void {
    const rows = this.children.get(step) ?? []
    if (rows.length !== from) throw new Error(`children of ${step} are made from ${from}, but ${rows.length} are there`)
    for (const [at, item] of items.entries()) {
      const index = from + at
      rows.push({ key: `${step}[${index}]`, nodeId: step, index, item, status: 'pending', attempts: 0 })
    }
    this.children.set(step, rows)
  }

  #beginChildren(step: string, count: number): Effect[] {
    const parent = this.run.steps.get(step)
    if (!parent) throw new Error(`no step ${step}`)
    const pending = (this.children.get(step) ?? []).filter((child) => child.status === 'pending').slice(0, count)
    return pending.flatMap((child) => beginChild(this.plan, this.run, parent, child, this.#world()))
  }

  #cancelChild(child: StepRun): void {
    if (stepEnded(child)) return
    child.status = 'cancelled'
    child.completedAt = this.now
    if (child.jobId !== undefined && this.jobs.delete(child.jobId)) this.cancelled.push(child.jobId)
    if (child.childRunId !== undefined && this.runs.delete(child.childRunId)) this.cancelled.push(child.childRunId)
  }
}

/** A run of a definition of the jobs dialect, begun. */
export function playDefinition(
  steps: Record<string, unknown>,
  input: Record<string, unknown> = {},
  rest: Record<string, unknown> = {},
): RunPlayer {
  const { definition, problems } = parseDefinition({ ...rest, steps })
  assert.deepEqual(problems, [])
  return new RunPlayer(compileDefinition({ ...definition, id: 'wf' }), input).start()
}
