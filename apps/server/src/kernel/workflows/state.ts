import type { Instant } from '../clock/index.ts'
import type { JobTemplate } from './plan.ts'

export type RunStatus =
  'pending' | 'running' | 'waiting' | 'paused' | 'cancelling' | 'succeeded' | 'failed' | 'timed_out' | 'cancelled'

export type StepStatus =
  | 'pending'
  | 'running'
  /** For people, or for time. */
  | 'waiting'
  /** Failed; tried again at `nextAttemptAt`. */
  | 'retrying'
  | 'succeeded'
  | 'failed'
  | 'timed_out'
  | 'cancelled'
  | 'skipped'

export interface StepError {
  readonly message: string
  readonly code?: string
}

/**
 * One step of a run, as its row holds it. `key` is the node's id, or `<node>[<index>]` of a child. A node with children (for each item, or
 * one an iteration) holds their counts, so that no event has to read them all.
 */
export interface StepRun {
  key: string
  nodeId: string
  /** Of a child. */
  index?: number
  item?: unknown
  status: StepStatus
  attempts: number
  startedAt?: Instant
  completedAt?: Instant
  nextAttemptAt?: Instant
  input?: unknown
  output?: unknown
  /** Where the whole result lies when it is too large to be inlined (256 KiB). */
  resultPtr?: string
  error?: StepError
  jobId?: string
  childRunId?: string
  approvalId?: string
  skipReason?: 'condition_false' | 'upstream_failed' | 'upstream_skipped' | 'not_chosen' | 'run_ended'
  /** The failure was handled (`continue`, `goto`): it does not fail the run. */
  handled?: boolean
  /** What its conditioned edges answered when it ended, by their place in `plan.edges`: never asked again. */
  edges?: Record<string, boolean>
  children?: ChildCounts
}

export interface ChildCounts {
  total: number
  /** Begun so far: the next child to begin has this index. */
  begun: number
  succeeded: number
  failed: number
  /** One of them was cancelled or denied or timed out: why the node failed. */
  firstError?: StepError
}

/** The run's row. What expressions see as `steps` is made of the steps' rows, so `context` holds no `steps`. */
export interface RunState {
  id: string
  status: RunStatus
  input: Readonly<Record<string, unknown>>
  context: Record<string, unknown>
  output?: Record<string, unknown>
  error?: StepError
  startedAt?: Instant
  completedAt?: Instant
  dryRun: boolean
  /** Every top-level step by its key; and those children that the event is about. */
  steps: Map<string, StepRun>
}

/**
 * What happened. Each may come twice: what was taken in already changes nothing. An event about a child (`step` is `fan[3]`) finds both its
 * row and its parent's in `steps`; the parent's counts follow in the same call. The store loads no other children.
 */
export type RunEvent =
  | { readonly kind: 'start' }
  | {
      readonly kind: 'job-ended'
      readonly step: string
      readonly jobId: string
      readonly end:
        | { readonly kind: 'succeeded'; readonly resultPtr?: string; readonly output?: unknown }
        | {
            readonly kind: 'failed' | 'timed_out' | 'cancelled' | 'denied'
            readonly message: string
            readonly code: string
          }
    }
  | {
      readonly kind: 'run-ended'
      readonly step: string
      readonly runId: string
      readonly status: 'succeeded' | 'failed' | 'timed_out' | 'cancelled'
      readonly output?: unknown
      readonly error?: StepError
    }
  | {
      readonly kind: 'decided'
      readonly step: string
      readonly approved: boolean
      readonly by: string
      readonly value?: unknown
    }
  /** `attempt` tells an old timer from one that counts. */
  | {
      readonly kind: 'timer'
      readonly step: string
      readonly purpose: 'delay' | 'retry' | 'timeout'
      readonly attempt: number
    }
  | { readonly kind: 'run-timeout' }
  | { readonly kind: 'cancel'; readonly reason: string }
  /** Answer to `collect-children`: the outputs of the children in the order of their index (loop: the last one), or where they lie. */
  | {
      readonly kind: 'children-collected'
      readonly step: string
      readonly output?: unknown
      readonly resultPtr?: string
    }

/**
 * What the engine does with the new state, in the same transaction and in this order. A submit that is refused or denied at once comes back
 * as `job-ended` in the same transaction, a sub-run that cannot be started as `run-ended`.
 */
export type Effect =
  | {
      readonly kind: 'submit'
      readonly step: string
      readonly jobId: string
      readonly attempt: number
      readonly job: JobTemplate
      readonly input: unknown
      readonly timeoutMs?: number
      readonly item?: unknown
      readonly index?: number
    }
  | { readonly kind: 'cancel-job'; readonly jobId: string; readonly reason: string }
  /** Rows of children are made: one for each item, pending, with the indexes `from` (default 0) and up. */
  | {
      readonly kind: 'make-children'
      readonly step: string
      readonly items: readonly unknown[]
      readonly from?: number
    }
  /**
   * Room for `count` more: the next pending children in the order of their index are begun by `beginChild`, which counts `begun` and, where
   * the child ends at once, its end. Many take several transactions.
   */
  | { readonly kind: 'begin-children'; readonly step: string; readonly count: number }
  /** All children have succeeded: their outputs are read and come back as `children-collected`, in the same transaction. */
  | { readonly kind: 'collect-children'; readonly step: string; readonly last?: boolean }
  /** Children that have not ended become `cancelled`; jobs and runs of theirs are cancelled. */
  | { readonly kind: 'cancel-children'; readonly step: string; readonly reason: string }
  | { readonly kind: 'ask'; readonly step: string; readonly input: unknown; readonly expiresAt?: Instant }
  | { readonly kind: 'withdraw'; readonly step: string }
  | {
      readonly kind: 'timer'
      readonly step: string
      readonly purpose: 'delay' | 'retry' | 'timeout'
      readonly attempt: number
      readonly at: Instant
    }
  | { readonly kind: 'run-timer'; readonly at: Instant }
  | {
      readonly kind: 'notify'
      readonly step: string
      readonly level: string
      readonly message: string
      readonly code: string
      readonly component: string
    }
  | {
      readonly kind: 'start-run'
      readonly step: string
      readonly runId: string
      readonly workflowId: string
      readonly input: unknown
    }
  | { readonly kind: 'cancel-run'; readonly runId: string; readonly reason: string }
  | { readonly kind: 'timeline'; readonly event: TimelineEvent }

/** jobs.md 21.8, and what it lacks (`step_retry_scheduled`, `step_skipped`). */
export interface TimelineEvent {
  readonly type: string
  readonly step?: string
  readonly jobId?: string
  readonly status?: string
  readonly resultPtr?: string
  readonly message?: string
  readonly data?: Readonly<Record<string, unknown>>
}
