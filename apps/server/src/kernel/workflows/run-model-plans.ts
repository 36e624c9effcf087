import * as fc from 'fast-check'
import type { Action, ApprovalTemplate, Plan, PlanEdge, PlanNode } from './plan.ts'

/** How one attempt of a step ends in the model's world. */
export type Fate = 'succeeded' | 'failed' | 'timed_out' | 'denied' | 'cancelled'

const KINDS = [
  ...(['job', 'job', 'job', 'run', 'approval', 'form', 'condition', 'switch', 'delay'] as const),
  ...(['notify', 'transform', 'fork', 'fail'] as const),
] as const
export type Kind = (typeof KINDS)[number]

/** One node of a random plan. Every edge and every jump leads from a lower place in the list to a higher one. */
export interface NodeSpec {
  readonly kind: Kind
  readonly from: readonly { readonly at: number; readonly on: PlanEdge['on']; readonly condition?: boolean }[]
  readonly join: 'all' | 'any' | number
  readonly onError: 'fail' | 'continue' | number
  readonly retries: number
  readonly condition?: boolean | 'error'
  readonly each?: { readonly items: number; readonly maxParallel: number; readonly failFast: boolean }
  readonly loop?: { readonly wanted: number; readonly most: number }
  readonly limited: boolean
  readonly onTimeout: ApprovalTemplate['onTimeout']
  /** Of a switch: what it chooses. Of one that follows a switch: what must be chosen. */
  readonly branch: 'x' | 'y'
  readonly chosen: boolean
  readonly finally: 'failure' | 'always' | undefined
  readonly fates: readonly Fate[]
}

export interface RunSpec {
  readonly dialect: 'jobs' | 'release'
  readonly maxParallel: number
  readonly forkLimit: number
  readonly nodes: readonly NodeSpec[]
  /** After so many events the run is cancelled, or its time is up. */
  readonly stop?: { readonly after: number; readonly by: 'cancel' | 'run-timeout' }
  /** What happens next, each a choice among what can happen. */
  readonly choices: readonly number[]
}

const fate = (failures: number): fc.Arbitrary<Fate> =>
  fc.oneof(
    { weight: 20, arbitrary: fc.constant('succeeded' as const) },
    { weight: failures, arbitrary: fc.constantFrom('failed' as const, 'timed_out' as const, 'denied' as const) },
    { weight: failures > 1 ? 1 : 0, arbitrary: fc.constant('cancelled' as const) },
  )

/** Nothing in all but one of `rarity` cases. */
const optional = <T>(arbitrary: fc.Arbitrary<T>, rarity: number): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: rarity - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })

const nodeSpec = (at: number, release: boolean, failures: number): fc.Arbitrary<NodeSpec> =>
  fc
    .record({
      kind: fc.constantFrom(...KINDS.filter((kind) => release || kind !== 'fail')),
      from: fc
        .uniqueArray(
          fc.record({
            at: fc.nat({ max: Math.max(0, at - 1) }),
            on: release
              ? fc.constantFrom('success', 'success', 'success', 'failure', 'always')
              : fc.constant('success'),
            condition: release ? optional(fc.boolean(), 8) : fc.constant(undefined),
          }),
          { selector: (edge) => edge.at, maxLength: at === 0 ? 0 : 3 },
        )
        .map((edges) => edges.map((edge) => ({ at: edge.at, on: edge.on, ...orNothing('condition', edge.condition) }))),
      join: release ? fc.constantFrom('all' as const, 'all' as const, 'any' as const, 2) : fc.constant('all' as const),
      onError: fc.oneof(
        { weight: 4, arbitrary: fc.constant('fail' as const) },
        { weight: 3, arbitrary: fc.constant('continue' as const) },
        { weight: 2, arbitrary: fc.integer({ min: 1, max: 11 }) },
      ),
      retries: fc.nat({ max: 2 }),
      condition: optional(fc.constantFrom(true, true, false, false, 'error' as const), 5),
      each: optional(
        fc.record({ items: fc.nat({ max: 4 }), maxParallel: fc.nat({ max: 2 }), failFast: fc.boolean() }),
        4,
      ),
      loop: optional(fc.record({ wanted: fc.integer({ min: 1, max: 4 }), most: fc.integer({ min: 1, max: 4 }) }), 6),
      limited: fc.boolean(),
      onTimeout: fc.constantFrom('fail' as const, 'approve' as const, 'reject' as const),
      branch: fc.constantFrom('x' as const, 'y' as const),
      chosen: fc.boolean(),
      finally:
        release && at > 0
          ? optional(fc.constantFrom('failure' as const, 'always' as const), 8)
          : fc.constant(undefined),
      fates: fc.array(fate(failures), { minLength: 1, maxLength: 6 }),
    })
    .map((spec) => clean(spec))

const orNothing = <K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: V }

/** Only what makes sense together. */
function clean(spec: {
  [K in keyof NodeSpec]: NodeSpec[K] | undefined
}): NodeSpec {
  const { each, loop, condition, ...rest } = spec as NodeSpec
  const many = rest.kind === 'job' || rest.kind === 'run'
  const engine = rest.kind === 'transform' || rest.kind === 'notify'
  return {
    ...rest,
    ...(condition === undefined ? {} : { condition }),
    ...(each && (many || engine) ? { each } : loop && many ? { loop } : {}),
  }
}

/** Plans of up to 12 nodes of both dialects, of all types, and what happens to them. */
export const runSpecs: fc.Arbitrary<RunSpec> = fc
  .record({ release: fc.boolean(), size: fc.integer({ min: 1, max: 12 }), failures: fc.constantFrom(0, 1, 1, 3, 10) })
  .chain(({ release, size, failures }) =>
    fc.record({
      dialect: fc.constant(release ? ('release' as const) : ('jobs' as const)),
      maxParallel: release ? fc.constantFrom(1, 2, 3, 10) : fc.constant(500),
      forkLimit: fc.integer({ min: 1, max: 3 }),
      nodes: fc.tuple(...Array.from({ length: size }, (_, at) => nodeSpec(at, release, failures))),
      stop: optional(
        fc.record({ after: fc.nat({ max: 12 }), by: fc.constantFrom('cancel' as const, 'run-timeout' as const) }),
        6,
      ),
      choices: fc.array(fc.nat({ max: 5000 }), { maxLength: 60 }),
    }),
  )
  .map(({ stop, ...spec }) => ({ ...spec, ...(stop ? { stop } : {}) }))

/** Ids are not in the order of the graph, so that nothing rests on that. */
export const idOf = (at: number): string => `${'qwertyuiopas'[at] ?? 'z'}${at}`
export const placeOf = (id: string): number => Number(id.slice(1).replace(/\[.*$/, ''))

/** Where a node's failure leads: only forward, and never into the finally block. */
export function jumpOf(spec: RunSpec, at: number): number | undefined {
  const to = spec.nodes[at]?.onError
  if (typeof to !== 'number' || to <= at || to >= spec.nodes.length || isFinally(spec, to)) return undefined
  return to
}

/** release.md 18.4: in the finally block are nodes that no edge leads to. */
export const isFinally = (spec: RunSpec, at: number): boolean =>
  spec.nodes[at]?.finally !== undefined && spec.nodes[at].from.length === 0

export function planOf(spec: RunSpec): Plan {
  const jumps = new Set(spec.nodes.map((_, at) => jumpOf(spec, at)))
  const places = spec.nodes.map((_, at) => at)
  return {
    dialect: spec.dialect,
    workflowId: 'wf',
    nodes: Object.fromEntries(places.map((at) => [idOf(at), nodeOf(spec, at)])),
    edges: spec.nodes.flatMap((node, at) =>
      node.from.map((edge) => ({
        from: idOf(edge.at),
        to: idOf(at),
        on: edge.on,
        ...(edge.condition === undefined ? {} : { condition: String(edge.condition) }),
      })),
    ),
    entry: places.filter((at) => !spec.nodes[at]?.from.length && !jumps.has(at) && !isFinally(spec, at)).map(idOf),
    finally: places
      .filter((at) => isFinally(spec, at))
      .map((at) => ({ node: idOf(at), on: spec.nodes[at]?.finally ?? 'always' })),
    failure: spec.dialect === 'jobs' ? 'cancel' : 'drain',
    maxParallel: spec.maxParallel,
  }
}

function nodeOf(spec: RunSpec, at: number): PlanNode {
  const node = spec.nodes[at] as NodeSpec
  const before = node.from.map((edge) => edge.at)
  const jump = jumpOf(spec, at)
  return {
    id: idOf(at),
    name: idOf(at),
    action: actionOf(node),
    input: { at },
    ...(node.condition === undefined
      ? {}
      : { condition: node.condition === 'error' ? '1 / 0' : String(node.condition) }),
    skipCountsAs: spec.dialect === 'jobs' ? 'success' : 'skip',
    join: typeof node.join === 'number' ? { atLeast: node.join } : node.join,
    onError:
      jump !== undefined
        ? { kind: 'goto', to: idOf(jump) }
        : { kind: node.onError === 'continue' ? 'continue' : 'fail' },
    retry: { maxRetries: node.retries, firstMs: 1000, maxMs: 60_000, multiplier: 2 },
    ...(node.limited ? { timeoutMs: 5000 } : {}),
    ...(node.each
      ? { each: { ...node.each, items: `[${Array.from({ length: node.each.items }, (_, item) => item).join(',')}]` } }
      : {}),
    ...(node.loop ? { loop: { while: 'output.more', maxIterations: node.loop.most } } : {}),
    groups: before
      .filter((other) => spec.nodes[other]?.kind === 'fork')
      .map((other) => ({ id: idOf(other), limit: spec.forkLimit })),
    chosenBy: node.chosen
      ? before
          .filter((other) => spec.nodes[other]?.kind === 'switch')
          .map((other) => ({ node: idOf(other), branches: [node.branch] }))
      : [],
  }
}

function actionOf({ kind, branch, onTimeout }: NodeSpec): Action {
  switch (kind) {
    case 'job':
      return { kind, job: { topic: 'job.t' } }
    case 'run':
      return { kind, workflowId: 'other' }
    case 'approval':
    case 'form':
      return { kind, approval: { required: 1, roles: [], allowSelf: true, onTimeout } }
    case 'condition':
      return { kind, expression: branch === 'x' ? 'true' : 'false' }
    case 'switch':
      return { kind, cases: [{ name: 'x', when: branch === 'x' ? '1' : '0' }], otherwise: 'y' }
    case 'delay':
      return { kind, ms: 2000 }
    case 'fail':
      return { kind, message: 'meant to fail' }
    default:
      return { kind }
  }
}
