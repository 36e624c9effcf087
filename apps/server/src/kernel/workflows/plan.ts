import type { Instant } from '../clock/index.ts'

/**
 * One plan for both definition dialects (architecture: one workflow engine). The jobs dialect's steps with `depends_on` and the release
 * dialect's nodes and edges (release.md 18.1) compile to it; a run keeps the dialect of its definition for life, because the two differ in
 * their expressions and in what a skipped step means.
 */
export interface Plan {
  readonly dialect: 'jobs' | 'release'
  readonly workflowId: string
  readonly nodes: Readonly<Record<string, PlanNode>>
  readonly edges: readonly PlanEdge[]
  /** Nodes that begin with the run. */
  readonly entry: readonly string[]
  /** Nodes that run after the graph has settled; `failure`: only if the run fails. Never after a cancel or a time-out of the run. */
  readonly finally: readonly { readonly node: string; readonly on: 'failure' | 'always' }[]
  /**
   * What a failure that nobody handles does: `cancel` ends the run at once and cancels what still runs (jobs dialect); `drain` begins nothing
   * more but along edges on failure or always, waits for what runs, runs the finally nodes and then ends the run (release.md 18.4).
   */
  readonly failure: 'cancel' | 'drain'
  /** Of the whole run; undefined: no limit. */
  readonly timeoutMs?: number
  /** Steps that run at once, children not counted. */
  readonly maxParallel: number
  /** JSON Schema of the run's input. */
  readonly inputSchema?: unknown
  /** Expressions of the run's output by name; undefined: the outputs of the nodes that nothing follows. */
  readonly outputs?: Readonly<Record<string, string>>
}

/** What a node does once it is ready. Everything that touches the world is a governed job. */
export type Action =
  /** A worker's job, or a verb's when the topic is one of ours. */
  | { readonly kind: 'job'; readonly job: JobTemplate }
  /** People decide; the value they give along with it is the output. */
  | { readonly kind: 'approval'; readonly approval: ApprovalTemplate }
  /** A value that a person gives; validated against the node's input schema. */
  | { readonly kind: 'form'; readonly approval: ApprovalTemplate }
  /** Output: truth of the expression. */
  | { readonly kind: 'condition'; readonly expression: string }
  /** Output: `{branch, value}`: the name of the first case that holds, else `otherwise`; without cases the printed value of `value`. */
  | {
      readonly kind: 'switch'
      readonly cases: readonly { readonly name: string; readonly when: string }[]
      readonly otherwise?: string
      readonly value?: string
    }
  | { readonly kind: 'delay'; readonly ms?: number; readonly until?: Instant }
  | { readonly kind: 'notify' }
  /** Output: the evaluated input. */
  | { readonly kind: 'transform' }
  /** Succeeds at once; `PlanNode.groups` of those that follow bounds how many run together. */
  | { readonly kind: 'fork' }
  | { readonly kind: 'run'; readonly workflowId: string }
  | { readonly kind: 'fail'; readonly message: string }

export interface PlanNode {
  readonly id: string
  readonly name: string
  readonly action: Action
  /** Templates, evaluated when the node begins; undefined: the run's input. */
  readonly input?: unknown
  readonly inputSchema?: SchemaReference
  readonly outputSchema?: SchemaReference
  /** Dot path in the run's context that the output is also written to. */
  readonly outputPath?: string
  /** Evaluated when the node is ready; false: it is skipped. */
  readonly condition?: string
  /** What a skip means to those that follow: the jobs dialect counts it as success, the release dialect makes the edges dead. */
  readonly skipCountsAs: 'success' | 'skip'
  readonly join: 'all' | 'any' | { readonly atLeast: number }
  readonly onError:
    { readonly kind: 'fail' } | { readonly kind: 'continue' } | { readonly kind: 'goto'; readonly to: string }
  readonly retry: RetryTemplate
  /** Of one attempt. */
  readonly timeoutMs?: number
  /** One child for each item, each doing what the action says. */
  readonly each?: {
    readonly items: string
    /** 0: all at once. */
    readonly maxParallel: number
    readonly failFast: boolean
  }
  /** The action again and again while the expression holds (it sees the last output); `maxIterations` ends it as failed. */
  readonly loop?: { readonly while: string; readonly maxIterations: number }
  /** Forks that this node belongs to: at most `limit` of each one's members run at once. */
  readonly groups: readonly { readonly id: string; readonly limit: number }[]
  /** Switches that must have chosen one of these branches; else the node is skipped (`not_chosen`) and its edges are dead. */
  readonly chosenBy: readonly { readonly node: string; readonly branches: readonly string[] }[]
}

export interface SchemaReference {
  readonly inline?: unknown
  readonly id?: string
}

export interface JobTemplate {
  readonly topic: string
  readonly adapterId?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly meta?: JobMeta
}

export interface JobMeta {
  readonly actorId?: string
  readonly actorType?: 'human' | 'service'
  readonly idempotencyKey?: string
  readonly packId?: string
  readonly capability?: string
  readonly riskTags?: readonly string[]
  readonly requires?: readonly string[]
  readonly labels?: Readonly<Record<string, string>>
}

export interface ApprovalTemplate {
  readonly required: number
  readonly roles: readonly string[]
  /** Whether who started the run may decide: yes by default in the jobs dialect. */
  readonly allowSelf: boolean
  readonly instructions?: string
  readonly onTimeout: 'fail' | 'approve' | 'reject'
}

export interface RetryTemplate {
  /** Executions beside the first. */
  readonly maxRetries: number
  readonly firstMs: number
  readonly maxMs: number
  readonly multiplier: number
}

/**
 * `success`: the source succeeded, or failed with `continue`. `failure`: it failed or timed out. `always`: any end but a skip.
 * An edge whose condition is false is dead and does not count; one whose source failed blocks (release.md 18.4).
 */
export interface PlanEdge {
  readonly from: string
  readonly to: string
  readonly on: 'success' | 'failure' | 'always'
  readonly condition?: string
}
