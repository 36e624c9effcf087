import type { Static, TSchema } from 'typebox'
import type { Instant } from '../clock/index.ts'
import type { Tx } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'
import type { Decision } from '../policy/index.ts'
import type { Ended, Verb } from './verb.ts'

/** States of a job inside; `unification.md` §5 maps them to each surface's words. */
export type JobState =
  | 'pending'
  | 'held'
  | 'scheduled'
  | 'dispatched'
  | 'running'
  | 'succeeded'
  | 'failed'
  | 'cancelled'
  | 'timed_out'
  | 'denied'

export const TERMINAL_STATES = ['succeeded', 'failed', 'cancelled', 'timed_out', 'denied'] as const
export type TerminalState = (typeof TERMINAL_STATES)[number]

export const isTerminal = (state: JobState): state is TerminalState =>
  (TERMINAL_STATES as readonly JobState[]).includes(state)

export interface SubmitOptions {
  /** Idempotency: the same key of the same tenant gives the first job again, for 7 days. */
  key?: string
  labels?: Readonly<Record<string, string>>
  parentJobId?: string
  traceId?: string
  /** Of one attempt; default: the verb's. */
  timeoutMs?: number
  /** Where the work happens, for lists and for policy. Every verb is driven by its `perform` in the server. */
  executor?: { kind: 'server' } | { kind: 'agent'; agentId: string }
}

export interface Submitted {
  jobId: string
  traceId: string
  /**
   * `ready`: it will run. `held`: it waits for approval. `denied`: policy said no; it is recorded as denied and `settle` is not called.
   * `throttled`: policy is asked again in a few seconds (also while no policy is loaded).
   */
  state: 'ready' | 'held' | 'denied' | 'throttled'
  decision: Decision
  /** The hold, when there is one. */
  approvalId?: string
  /** The key was known: nothing new was submitted. */
  replayed: boolean
}

/** What a synchronous endpoint gets. `pending`: the wait is over, the job goes on. */
export type Settled<O> =
  | { state: 'held'; jobId: string; approvalId: string; decision: Decision }
  | { state: 'pending'; jobId: string; decision: Decision }
  | { state: 'ended'; jobId: string; end: Ended<O>; decision: Decision }

export interface OutputChunk {
  /** Order within the job, from 1. */
  seq: number
  stream: 'stdout' | 'stderr'
  chunk: string
  at: Instant
}

/** What a watcher of a job hears. Live only: what was before is read from the record. */
export type JobSignal =
  | { kind: 'state'; state: JobState; at: Instant }
  | { kind: 'progress'; percent?: number; message?: string; at: Instant }
  | ({ kind: 'output' } & OutputChunk)
  | { kind: 'ended'; end: Ended<unknown>; at: Instant }

/** The door to governed work (decisions D5). */
export interface Jobs {
  /** Makes a verb known to every door. At start, before `start()`. */
  register(verb: Verb): void
  /** A verb by its name or topic. */
  verb(nameOrTopic: string): Verb | undefined
  verbs(): readonly Verb[]

  /**
   * Submits within the caller's transaction; the work begins after its commit. Policy has decided when this returns; neither a denial
   * nor throttling throws. The permission is not checked here: the endpoint did. Throws VAL_SCHEMA when the input does not fit.
   */
  submit<I extends TSchema, O extends TSchema>(
    tx: Tx,
    principal: Principal,
    verb: Verb<I, O>,
    input: Static<I>,
    options?: SubmitOptions,
  ): Promise<Submitted>

  /**
   * For synchronous documented endpoints (declared `transaction: 'none'`): submits in a transaction of its own and waits at most `waitMs`.
   * `prepare` writes the domain's own rows in the submitting transaction, unless policy refused.
   * Throws POLICY_DENIED (403 with `rule` and `why`; the denied job is recorded, nothing else) and POLICY_THROTTLED (429; nothing is recorded).
   */
  submitAndWait<I extends TSchema, O extends TSchema>(
    principal: Principal,
    verb: Verb<I, O>,
    input: Static<I>,
    options: SubmitOptions & {
      waitMs: number
      signal?: AbortSignal
      prepare?(tx: Tx, submitted: Submitted): Promise<void>
    },
  ): Promise<Settled<Static<O>>>

  /** How the job ended, or undefined when it has not within the time or the signal aborts first. Throws JOB_NOT_FOUND. */
  wait(tenantId: string, jobId: string, timeoutMs: number, signal?: AbortSignal): Promise<Ended<unknown> | undefined>

  /** Cancels within the caller's transaction; the worker or agent hears of it after the commit. A job that has ended stays as it is. */
  cancel(
    tx: Tx,
    principal: Principal,
    jobId: string,
    reason: string,
  ): Promise<{ state: TerminalState; changed: boolean }>

  /** Kept output of a job in its order, after `afterSeq`. Bounded: what was beyond the bound is gone, `truncated` says so. */
  output(tenantId: string, jobId: string, afterSeq?: number): Promise<{ chunks: OutputChunk[]; truncated: boolean }>

  /** Hears a job live, on any replica. Ends with the returned function. */
  watch(tenantId: string, jobId: string, listener: (signal: JobSignal) => void): () => void
}
