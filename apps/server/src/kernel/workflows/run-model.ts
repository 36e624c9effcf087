import assert from 'node:assert/strict'
import { RunPlayer } from './run-player.ts'
import type { Timer } from './run-player.ts'
import { stepActive, stepEnded } from './event-turn.ts'
import { idOf, jumpOf, placeOf, planOf } from './run-model-plans.ts'
import type { NodeSpec, RunSpec } from './run-model-plans.ts'
import { attemptsOf, comesTo, edgeOf, fateOf, lastOf, unhandled, whole } from './run-model-truth.ts'
import type { RunEvent, StepRun } from './state.ts'

/** What was seen in all sequences, by name: a campaign asks that nothing of it is missing. */
export type Seen = Map<string, number>

/** All that must have been seen once a few thousand sequences were played. */
export const MUST_SEE: readonly string[] = [
  ...['succeeded', 'failed', 'timed_out', 'cancelled'].map((status) => `run ${status}`),
  ...['job', 'run', 'approval', 'form', 'condition', 'switch', 'delay', 'notify', 'transform', 'fork', 'fail'].flatMap(
    (kind) => (kind === 'fail' ? [`${kind} failed`] : [`${kind} succeeded`]),
  ),
  ...['condition_false', 'upstream_failed', 'upstream_skipped', 'not_chosen', 'run_ended'].map(
    (why) => `skipped ${why}`,
  ),
  ...['job failed', 'job timed_out', 'job cancelled', 'run failed', 'run timed_out', 'run cancelled'].map(
    (it) => `step ${it}`,
  ),
  ...['approval failed', 'approval timed_out', 'form failed', 'form timed_out'].map((it) => `step ${it}`),
  'retry',
  'handled continue',
  'handled goto',
  'child retry',
  'loop limit',
  'finally after failure',
  'each in parts',
  ...['duplicate', 'earlier attempt', 'unknown step', 'wrong run', 'old timer', 'late decision', 'start again'].map(
    (it) => `refused ${it}`,
  ),
  'refused after the end',
]

/**
 * Plays one run to its end in the order that `spec.choices` says, with noise in between, and holds every state on the way and the end against
 * the model. Throws at the first divergence.
 */
export function playRun(spec: RunSpec, seen: Seen = new Map()): void {
  new Sequence(spec, seen).play()
}

interface Move {
  readonly name: string
  readonly make: () => void
}

class Sequence {
  readonly #spec: RunSpec
  readonly #seen: Seen
  readonly #player: RunPlayer
  readonly #sent: RunEvent[] = []
  #stopped: 'cancel' | 'run-timeout' | undefined

  constructor(spec: RunSpec, seen: Seen) {
    this.#spec = spec
    this.#seen = seen
    this.#player = new RunPlayer(planOf(spec))
  }

  play(): void {
    const { choices, stop } = this.#spec
    this.#send({ kind: 'start' })
    for (let count = 0; ; count++) {
      assert(count < 2000, 'the run does not come to an end')
      if (stop?.after === count) this.#stop(stop.by)
      const choice = choices[count] ?? 0
      if (choice % 4 === 3) this.#noise(Math.floor(choice / 4))
      const moves = this.#moves()
      if (!moves.length) break
      moves[choice % moves.length]?.make()
    }
    this.#checkEnd()
    for (let kind = 0; kind < 22; kind++) this.#noise(kind)
  }

  #stop(by: 'cancel' | 'run-timeout'): void {
    if (this.#over()) return
    this.#stopped = by
    this.#send(by === 'cancel' ? { kind: 'cancel', reason: 'enough' } : { kind: 'run-timeout' })
    assert(this.#over(), `the run goes on after ${by}`)
  }

  #over(): boolean {
    return ['succeeded', 'failed', 'timed_out', 'cancelled'].includes(this.#player.run.status)
  }

  /** What can happen next in the world. */
  #moves(): Move[] {
    const player = this.#player
    const moves: Move[] = []
    for (const job of player.jobs.values()) moves.push({ name: 'job', make: () => this.#endJob(job.step, job.attempt) })
    for (const run of player.runs.values()) moves.push({ name: 'run', make: () => this.#endRun(run.step, run.runId) })
    for (const key of player.asked) moves.push({ name: 'decide', make: () => this.#decide(key) })
    for (const timer of player.timers) {
      if (timer.purpose !== 'timeout') moves.push({ name: 'timer', make: () => this.#fire(timer) })
    }
    return moves
  }

  #endJob(key: string, attempt: number): void {
    const [node, child] = this.#of(key)
    const jobId = `run:${key}@${attempt}`
    this.#player.jobs.delete(jobId)
    const fate = fateOf(node, child, attempt)
    const output = { more: child + 1 < (node.loop?.wanted ?? 0) }
    const end = fate === 'succeeded' ? { kind: fate, output } : { kind: fate, message: fate, code: 'test' }
    this.#send({ kind: 'job-ended', step: key, jobId, end })
  }

  #endRun(key: string, runId: string): void {
    const [node, child] = this.#of(key)
    const { attempts } = this.#player.step(key)
    const fate = fateOf(node, child, attempts)
    const timer = this.#player.timers.find(
      (each) => each.purpose === 'timeout' && each.step === key && each.attempt === attempts,
    )
    // A sub-run is timed out either by its own limit or by the step's.
    if (fate === 'timed_out' && timer) return this.#fire(timer)
    this.#player.runs.delete(runId)
    const status = fate === 'denied' ? 'failed' : fate
    const output = fate === 'succeeded' ? { output: { more: child + 1 < (node.loop?.wanted ?? 0) } } : {}
    this.#send({ kind: 'run-ended', step: key, runId, status, ...output })
  }

  #decide(key: string): void {
    const [node] = this.#of(key)
    const fate = fateOf(node, 0, 1)
    const timer = this.#player.timers.find((each) => each.purpose === 'timeout' && each.step === key)
    if (fate === 'timed_out' && timer) return this.#fire(timer)
    this.#player.asked.delete(key)
    this.#send({ kind: 'decided', step: key, approved: fate === 'succeeded', by: 'ann', value: 1 })
  }

  #fire(timer: Timer): void {
    const { step, purpose, attempt, at } = timer
    this.#player.timers.splice(this.#player.timers.indexOf(timer), 1)
    this.#player.now = Math.max(this.#player.now, at)
    const due = !this.#over() && this.#isDue(timer)
    const effects = this.#send({ kind: 'timer', step, purpose, attempt })
    if (!due) assert.equal(effects, 0, `an old timer of ${step} had effects`)
    if (due && purpose === 'retry') this.#note(step.includes('[') ? 'child retry' : 'retry')
  }

  #isDue({ step: key, purpose, attempt }: Timer): boolean {
    const step = this.#player.step(key)
    if (stepEnded(step) || step.attempts !== attempt) return false
    if (purpose === 'retry') return step.status === 'retrying'
    return purpose === 'delay' ? step.status === 'waiting' : step.status === 'running' || step.status === 'waiting'
  }

  /** Something that must change nothing: it was taken in, it is of another attempt, or it is of nobody. */
  #noise(choice: number): void {
    const noise = this.#noiseOf(choice)
    if (!noise) return
    const [name, event] = noise
    const before = this.#picture()
    assert.equal(this.#player.send(event), 0, `${name} had effects`)
    assert.deepEqual(this.#picture(), before, `${name} changed the run`)
    this.#note(this.#over() ? 'refused after the end' : `refused ${name}`)
  }

  #noiseOf(choice: number): [string, RunEvent] | undefined {
    const open = [...this.#player.jobs.values()]
    const [job] = open
    const run = [...this.#player.runs.values()][0]
    const ended = { kind: 'succeeded' as const, output: 'noise' }
    const steps = [...this.#player.run.steps.values()]
    const retrying = steps.find(({ status }) => status === 'retrying')
    const timed = retrying ?? steps.find(({ status }) => status === 'waiting')
    const over = this.#player.timers.find((timer) => !this.#isDue(timer))
    switch (choice % 11) {
      case 0:
        return ['start again', { kind: 'start' }]
      case 8:
        if (!timed) return undefined
        return [
          'old timer',
          {
            kind: 'timer',
            step: timed.key,
            purpose: timed === retrying ? 'retry' : choice % 2 ? 'delay' : 'timeout',
            attempt: timed.attempts + 1,
          },
        ]
      case 9:
        return over && ['old timer', { kind: 'timer', step: over.step, purpose: over.purpose, attempt: over.attempt }]
      case 10:
        if (!this.#over()) return undefined
        return ['cancel after the end', choice % 2 ? { kind: 'run-timeout' } : { kind: 'cancel', reason: 'late' }]
      case 1: {
        const past = this.#sent.filter(({ kind }) => kind === 'job-ended' || kind === 'run-ended' || kind === 'decided')
        const event = past[choice % Math.max(past.length, 1)]
        return event && ['duplicate', event]
      }
      case 2:
        return job && ['earlier attempt', { kind: 'job-ended', step: job.step, jobId: `${job.jobId}0`, end: ended }]
      case 3:
        return ['unknown step', { kind: 'job-ended', step: 'nowhere', jobId: 'run:nowhere@1', end: ended }]
      case 4:
        return run && ['wrong run', { kind: 'run-ended', step: run.step, runId: 'sub-0', status: 'succeeded' }]
      case 5:
        return job && ['old timer', { kind: 'timer', step: job.step, purpose: 'retry', attempt: job.attempt }]
      case 6:
        return job && ['late decision', { kind: 'decided', step: job.step, approved: true, by: 'bob' }]
      default: {
        const key = retrying?.key
        if (key === undefined) return undefined
        const jobId = `run:${key}@${retrying?.attempts}`
        return ['earlier attempt', { kind: 'job-ended', step: key, jobId, end: ended }]
      }
    }
  }

  #picture(): string {
    const { run, children } = this.#player
    return JSON.stringify([{ ...run, steps: [...run.steps.values()] }, [...children.values()]])
  }

  #send(event: RunEvent): number {
    const player = this.#player
    const ended = new Map(
      [...player.run.steps.values(), ...[...player.children.values()].flat()]
        .filter(stepEnded)
        .map((step) => [step.key, JSON.stringify(step)]),
    )
    const failing = this.#fails()
    const pending = new Set(
      [...player.run.steps.values()].filter(({ status }) => status === 'pending').map(({ key }) => key),
    )
    const effects = player.send(event)
    this.#sent.push(event)
    for (const [key, text] of ended)
      assert.equal(JSON.stringify(player.step(key)), text, `${key} changed after its end`)
    this.#checkState(pending, failing)
    return effects
  }

  /** Holds after every event. */
  #checkState(pending: ReadonlySet<string>, failing: boolean): void {
    const { run, plan, jobs, runs, asked, children } = this.#player
    const steps = [...run.steps.values()]
    const rows = [...steps, ...[...children.values()].flat()]
    for (const key of pending) if (run.steps.get(key)?.startedAt !== undefined) this.#checkBegin(key, failing)
    const working = rows.filter(({ status }) => status === 'running')
    const open = working.flatMap(({ jobId }) => (jobId === undefined ? [] : [jobId]))
    assert.deepEqual([...jobs.keys()].toSorted(), open.toSorted(), 'open jobs are those of running steps')
    const below = working.flatMap(({ childRunId }) => (childRunId === undefined ? [] : [childRunId]))
    assert.deepEqual([...runs.keys()].toSorted(), below.toSorted(), 'open sub-runs are those of running steps')
    const waiting = steps.filter((step) => step.status === 'waiting' && this.#of(step.key)[0].kind !== 'delay')
    assert.deepEqual(
      [...asked].toSorted(),
      waiting.map(({ key }) => key).toSorted(),
      'open questions are those of waiting steps',
    )
    const busy = steps.filter((step) => stepActive(step) && step.status !== 'waiting')
    assert(busy.length <= plan.maxParallel, `${busy.length} steps run at once`)
    for (const fork of steps.filter(({ key }) => this.#of(key)[0].kind === 'fork')) {
      const members = steps.filter(({ key }) => plan.nodes[key]?.groups.some(({ id }) => id === fork.key))
      assert(members.filter(stepActive).length <= this.#spec.forkLimit, `too many follow ${fork.key} at once`)
    }
    for (const [key, list] of children) this.#checkChildren(key, list)
    for (const row of rows) assert(row.attempts <= this.#of(row.key)[0].retries + 1, `${row.key} is tried too often`)
    if (this.#over()) assert(steps.every(stepEnded), 'the run is over and a step is not')
    else if (run.status !== 'pending') {
      assert.equal(run.status, steps.some(({ status }) => status === 'waiting') ? 'waiting' : 'running')
    }
  }

  #checkChildren(key: string, list: readonly StepRun[]): void {
    const [node] = this.#of(key)
    const active = list.filter(stepActive).length
    const limit = node.each?.maxParallel || (node.each ? Infinity : 1)
    assert(active <= limit, `${active} children of ${key} at once`)
    const parent = this.#player.step(key)
    if (stepEnded(parent)) assert.equal(active, 0, `${key} is over and a child is not`)
    else {
      const counted = (status: (step: StepRun) => boolean) => list.filter(status).length
      assert.equal(
        parent.children?.succeeded,
        counted(({ status }) => status === 'succeeded'),
      )
      assert.equal(
        parent.children?.begun,
        counted(({ status }) => status !== 'pending'),
      )
      const fallen = counted((step) => stepEnded(step) && step.status !== 'succeeded')
      assert(!node.each?.failFast || fallen === 0, `an item of ${key} failed, and the others go on`)
    }
  }

  /** A step that began had to be allowed to, as its sources stand. */
  #checkBegin(key: string, failing: boolean): void {
    const spec = this.#spec
    const at = placeOf(key)
    const node = spec.nodes[at] as NodeSpec
    if (failing) assert(lastOf(spec).has(at) || this.#recovers(at), `${key} began although the run fails`)
    if (this.#jumpedTo(at)) return
    const edges = node.from.map((edge) => this.#edge(edge))
    const good = edges.filter((edge) => edge === 'good').length
    if (!edges.length) return
    const wanted = typeof node.join === 'number' ? node.join : 1
    assert(good >= wanted, `${key} began with ${good} of ${wanted} edges: ${edges.join(', ')}`)
    if (node.join === 'all')
      assert(!edges.includes('open') && !edges.includes('bad'), `${key} began too early: ${edges.join(', ')}`)
  }

  #jumpedTo(at: number): boolean {
    return this.#spec.nodes.some(
      (_, other) => jumpOf(this.#spec, other) === at && this.#player.step(idOf(other)).handled,
    )
  }

  /** Whether it is reached along an edge on failure or always, or by a jump, or follows what is. */
  #recovers(at: number): boolean {
    const along = this.#spec.nodes[at]?.from.some(
      (edge) => this.#edge(edge) === 'good' && (edge.on !== 'success' || this.#recovers(edge.at)),
    )
    return this.#jumpedTo(at) || along === true
  }

  #edge(edge: NodeSpec['from'][number]): 'good' | 'bad' | 'dead' | 'open' {
    const source = this.#player.step(idOf(edge.at))
    if (!stepEnded(source)) return 'open'
    const why = source.skipReason === 'condition_false' ? ('condition' as const) : undefined
    const status = source.status as 'succeeded'
    return edgeOf(this.#spec, edge, { status, handled: source.handled ?? false, ...(why ? { why } : {}) })
  }

  /** A step has failed and nobody handled it. */
  #fails(): boolean {
    return [...this.#player.run.steps.values()].some(
      (step) => ['failed', 'timed_out', 'cancelled'].includes(step.status) && !step.handled,
    )
  }

  #checkEnd(): void {
    const { run } = this.#player
    assert(this.#over(), `nothing can happen any more, and the run is ${run.status}`)
    const steps = [...run.steps.values()]
    const told = whole(this.#spec)
    const failures = steps.filter(
      (step) => ['failed', 'timed_out', 'cancelled'].includes(step.status) && !step.handled && this.#fell(step),
    )
    if (this.#stopped) assert.equal(run.status, this.#stopped === 'cancel' ? 'cancelled' : 'timed_out')
    else if ([...told.values()].some(unhandled)) {
      const alone = this.#spec.dialect === 'jobs' && failures.every(({ status }) => status === 'timed_out')
      assert.equal(run.status, alone ? 'timed_out' : 'failed')
      assert(failures.length > 0 && run.error !== undefined, 'a failed run has a reason')
      if (this.#spec.dialect === 'jobs') assert.equal(failures.length, 1, 'the first failure ends the run')
    } else {
      assert.equal(run.status, 'succeeded')
      for (const step of steps) {
        const { status, handled } = told.get(step.key) ?? { status: 'absent', handled: false }
        assert.equal(step.status, status, `${step.key} (${step.skipReason ?? step.error?.message ?? ''})`)
        assert.equal(step.handled ?? false, handled, `${step.key} handled`)
      }
    }
    for (const step of steps) this.#checkStep(step)
    this.#note(`run ${run.status}`)
  }

  /** Whether it ended so by itself, and not with the run. */
  #fell(step: StepRun): boolean {
    return this.#player.timeline.some(({ type, step: key }) => type === 'step_completed' && key === step.key)
  }

  #checkStep(step: StepRun): void {
    const [node] = this.#of(step.key)
    if (step.status === 'skipped') {
      if (step.skipReason === 'condition_false') assert.equal(node.condition, false, step.key)
      if (step.skipReason === 'run_ended') {
        assert.notEqual(this.#player.run.status, 'succeeded', step.key)
        const recovers = node.from.some((edge) => edge.on !== 'success' && this.#edge(edge) === 'good')
        assert(this.#stopped || !recovers, `${step.key} is for recovery and was not begun`)
      }
      this.#note(`skipped ${step.skipReason}`)
      return
    }
    // What ran came to what it must, unless the run ended under it.
    if (!this.#fell(step)) return
    assert.equal(step.status, comesTo(node).status, `${step.key}: ${step.error?.message ?? ''}`)
    if (step.status === 'succeeded' && !step.children && (node.kind === 'job' || node.kind === 'run')) {
      assert.equal(step.attempts, attemptsOf(node, 0).attempts, `attempts of ${step.key}`)
    }
    if (step.status === 'succeeded' && node.each && node.kind !== 'notify') {
      assert.equal((step.output as unknown[]).length, node.each.items, `items of ${step.key}`)
      if (node.each.maxParallel > 0 && node.each.items > node.each.maxParallel) this.#note('each in parts')
    }
    this.#note(
      step.status === 'succeeded' || node.kind === 'fail'
        ? `${node.kind} ${step.status}`
        : `step ${node.kind} ${step.status}`,
    )
    if (step.handled)
      this.#note(jumpOf(this.#spec, placeOf(step.key)) === undefined ? 'handled continue' : 'handled goto')
    if (step.error?.code === 'loop_limit') this.#note('loop limit')
    if (node.finally === 'failure' && node.from.length === 0) this.#note('finally after failure')
  }

  #of(key: string): [NodeSpec, number] {
    const node = this.#spec.nodes[placeOf(key)]
    if (!node) throw new Error(`no node ${key}`)
    return [node, Number(/\[(\d+)\]$/.exec(key)?.[1] ?? 0)]
  }

  #note(what: string): void {
    this.#seen.set(what, (this.#seen.get(what) ?? 0) + 1)
  }
}
