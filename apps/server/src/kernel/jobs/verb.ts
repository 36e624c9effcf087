import type { Static, TSchema } from 'typebox'
import type { Tx } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'

export type RiskTag = 'read' | 'write' | 'exec' | 'destructive' | 'secrets' | 'network' | 'cost' | 'production'

/** What a policy may know of an effect beside its request: labels of the machine, how many are reached, the command line. */
export type Facts = Readonly<Record<string, string | number | boolean | readonly string[] | null>>

/** How a job ended. `denied`: policy or an approver said no; nothing was done. */
export type Ended<O> =
  | { kind: 'succeeded'; output: O }
  | { kind: 'failed' | 'timed_out' | 'cancelled' | 'denied'; code: string; message: string; output?: Partial<O> }

/** One attempt of a job, as its driver sees it. */
export interface Run<I> {
  jobId: string
  tenantId: string
  attempt: number
  /** Fence of this claim: what an agent or worker echoes. */
  fence: number
  /** Stable over retries of this job: effects repeat under it without doubling. */
  key: string
  input: I
  principal: Principal
  deadline: number
  /** Aborts on cancel, timeout and loss of the lease. */
  signal: AbortSignal
  progress(update: { percent?: number; message?: string }): void
  /** Output of the thing that runs, in order; streamed to whoever watches and kept with the job (bounded). */
  output(stream: 'stdout' | 'stderr', chunk: string): void
}

/**
 * What the world may be asked to do (decisions D5). Declared once by its domain, registered in main.ts.
 * `name` is the permission; the topic is `job.wh.<domain>.<noun>.<verb>`, which policy rules match.
 */
export interface Verb<I extends TSchema = TSchema, O extends TSchema = TSchema> {
  name: `${string}:${string}`
  topic: `job.wh.${string}`
  input: I
  output: O
  risk: readonly RiskTag[]
  timeoutMs: number
  /** 1: never repeated by itself. */
  maxAttempts: number
  /** Facts for policy, blast radius and the button. Reads only. */
  facts(tx: Tx, input: Static<I>): Promise<Facts>
  /** Talks to the world; no transaction is open. Repeatable under the same `run.key`. Throws Fault. */
  perform(run: Run<Static<I>>): Promise<Static<O>>
  /** Writes the domain's rows, in the transaction that ends the job. */
  settle(tx: Tx, jobId: string, input: Static<I>, end: Ended<Static<O>>): Promise<void>
}
