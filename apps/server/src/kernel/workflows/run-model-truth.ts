import { idOf, isFinally, jumpOf } from './run-model-plans.ts'
import type { Fate, NodeSpec, RunSpec } from './run-model-plans.ts'

// A second reading of jobs.md 21 and release.md 18.4, without events, order or time: how a run must end. It shares no code with the engine.

export interface Told {
  readonly status: 'succeeded' | 'failed' | 'timed_out' | 'cancelled' | 'skipped'
  readonly why?: 'condition' | 'choice' | 'edges' | 'finally'
  readonly handled: boolean
}

export const fateOf = ({ fates }: NodeSpec, child: number, attempt: number): Fate =>
  fates[(child * 3 + attempt - 1) % fates.length] as Fate

/** How many attempts of it there are, and how the last one ends. */
export function attemptsOf(node: NodeSpec, child: number): { attempts: number; end: Told['status'] } {
  for (let attempt = 1; ; attempt++) {
    const fate = fateOf(node, child, attempt)
    if (fate === 'succeeded' || fate === 'cancelled') return { attempts: attempt, end: fate }
    if (attempt > node.retries) return { attempts: attempt, end: fate === 'timed_out' ? 'timed_out' : 'failed' }
  }
}

/** What a step comes to once it is ready, whatever else happens. */
export function comesTo(node: NodeSpec): Pick<Told, 'status' | 'why'> {
  if (node.condition === false) return { status: 'skipped', why: 'condition' }
  if (node.condition === 'error') return { status: 'failed' }
  if (node.each) {
    const bad = Array.from({ length: node.each.items }, (_, child) => child).some(
      (child) => ownWork(node.kind) && attemptsOf(node, child).end !== 'succeeded',
    )
    return { status: bad ? 'failed' : 'succeeded' }
  }
  if (node.loop) {
    const { wanted, most } = node.loop
    for (let child = 0; child < Math.min(wanted, most); child++) {
      if (attemptsOf(node, child).end !== 'succeeded') return { status: 'failed' }
    }
    return { status: wanted > most ? 'failed' : 'succeeded' }
  }
  if (ownWork(node.kind)) return { status: attemptsOf(node, 0).end }
  if (node.kind === 'approval' || node.kind === 'form') return { status: decisionOf(node) }
  return { status: node.kind === 'fail' ? 'failed' : 'succeeded' }
}

const ownWork = (kind: NodeSpec['kind']): boolean => kind === 'job' || kind === 'run'

/** People decide once; where nobody does, the time limit does, if there is one. */
function decisionOf(node: NodeSpec): Told['status'] {
  const fate = fateOf(node, 0, 1)
  if (fate === 'succeeded') return 'succeeded'
  if (fate !== 'timed_out' || !node.limited) return 'failed'
  if (node.onTimeout === 'approve' && node.kind === 'approval') return 'succeeded'
  return node.onTimeout === 'reject' ? 'failed' : 'timed_out'
}

/** What each step comes to in a run in which everything that may run does run. */
export function whole(spec: RunSpec): Map<string, Told> {
  const told = new Map<number, Told>()
  const last = lastOf(spec)
  const places = spec.nodes.map((_, at) => at)
  for (const at of places.filter((place) => !last.has(place))) told.set(at, tell(spec, at, told, false))
  const failing = [...told.values()].some(unhandled)
  for (const at of places.filter((place) => last.has(place))) told.set(at, tell(spec, at, told, failing))
  return new Map([...told].map(([at, each]) => [idOf(at), each]))
}

export const unhandled = ({ status, handled }: Told): boolean =>
  !handled && (status === 'failed' || status === 'timed_out' || status === 'cancelled')

/** The finally block and what follows it. */
export function lastOf(spec: RunSpec): Set<number> {
  const last = new Set<number>()
  for (const [at, node] of spec.nodes.entries()) {
    const follows = node.from.some((edge) => last.has(edge.at))
    const jumpedTo = [...last].some((other) => jumpOf(spec, other) === at)
    if (isFinally(spec, at) || follows || jumpedTo) last.add(at)
  }
  return last
}

function tell(spec: RunSpec, at: number, told: ReadonlyMap<number, Told>, failing: boolean): Told {
  const node = spec.nodes[at] as NodeSpec
  const skipped = (why: Told['why']): Told => ({ status: 'skipped', handled: false, ...(why ? { why } : {}) })
  const jumped = [...told].some(([other, each]) => each.handled && jumpOf(spec, other) === at)
  if (isFinally(spec, at)) {
    if (node.finally === 'failure' && !failing) return skipped('finally')
  } else if (!jumped && !joins(spec, node, told, at)) return skipped('edges')
  if (node.chosen) {
    for (const { at: other } of node.from) {
      const by = spec.nodes[other] as NodeSpec
      if (by.kind !== 'switch') continue
      const made = told.get(other)?.status === 'succeeded' ? by.branch : undefined
      if (made !== node.branch) return skipped('choice')
    }
  }
  const { status, why } = comesTo(node)
  const handled =
    (status === 'failed' || status === 'timed_out') && (node.onError === 'continue' || jumpOf(spec, at) !== undefined)
  return { status, handled, ...(why ? { why } : {}) }
}

function joins(spec: RunSpec, node: NodeSpec, told: ReadonlyMap<number, Told>, at: number): boolean {
  if (!node.from.length) return !spec.nodes.some((_, other) => jumpOf(spec, other) === at)
  const states = node.from.map((edge) => edgeOf(spec, edge, told.get(edge.at)))
  const good = states.filter((state) => state === 'good').length
  if (node.join === 'all') return good > 0 && !states.includes('bad')
  return good >= (node.join === 'any' ? 1 : node.join)
}

export function edgeOf(
  spec: RunSpec,
  edge: NodeSpec['from'][number],
  source: Pick<Told, 'status' | 'why' | 'handled'> | undefined,
): 'good' | 'bad' | 'dead' {
  if (!source) return 'dead'
  const { status, why, handled } = source
  if (status === 'skipped') {
    return spec.dialect === 'jobs' && why === 'condition' && edge.on === 'success' ? 'good' : 'dead'
  }
  if (edge.condition === false) return 'dead'
  if (edge.on === 'always') return 'good'
  const failed = status === 'failed' || status === 'timed_out'
  if (edge.on === 'failure') return failed ? 'good' : 'dead'
  if (status === 'succeeded') return 'good'
  if (!failed || !handled) return 'bad'
  return jumpOf(spec, edge.at) === undefined ? 'good' : 'dead'
}
