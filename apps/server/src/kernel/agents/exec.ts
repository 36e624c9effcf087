import { Fault } from '@wheelhouse/contract'
import type { AgentMessage, AgentPayload, ServerPayload } from '@wheelhouse/sdk/agent-protocol'
import { pause } from '../clock/index.ts'
import type { Switchboard } from './switchboard.ts'
import { taskTopic } from './topics.ts'

export interface ExecRequest {
  tenantId: string
  agentId: string
  /** The task's name for ever: the same task and attempt is run once, however often it is asked for. */
  taskId: string
  /** A higher one ends what is left of the lower ones and runs anew. Stays the same when a replica takes over from another. */
  attempt: number
  command?: string
  args?: readonly string[]
  /** Runs `command` as a line of the agent's shell. */
  shell?: boolean
  script?: string
  interpreter?: string
  cwd?: string
  env?: Readonly<Record<string, string>>
  timeoutMs: number
  maxOutputBytes?: number
  /** Somebody else may have begun this attempt: an agent that is away is waited for, as it may hold the result. */
  takenOver?: boolean
  /** Output that is known already, when taking over. */
  afterSeq?: number
  /** Ends the command and waits for its result; with `Detached` as reason it leaves the command alone. */
  signal?: AbortSignal
  onStarted?(pid: number): void
  /** In order, without gap or repetition. */
  onOutput?(stream: 'stdout' | 'stderr', data: Buffer, seq: number): void
}

export interface ExecResult {
  exitCode: number | null
  signal?: string
  timedOut: boolean
  cancelled: boolean
  durationMs: number
  stdoutBytes: number
  stderrBytes: number
  truncated: boolean
  /** Both streams came as one (`stdout`): the agent speaks only the base protocol and the command ran on a terminal. */
  merged: boolean
  error?: { code: string; message: string }
}

/** The reason of an abort that leaves the command to somebody else: a lost lease, a server that stops. */
export class Detached extends Error {
  override readonly name = 'Detached'
}

export const DEFAULT_OUTPUT_BYTES = 1024 * 1024

export interface ExecTiming {
  /** Look after a silent task this often. */
  silenceMs: number
  /** How long an agent that is away may stay away beyond the task's own time. */
  awayMs: number
  /** How long a full agent is asked again. */
  busyMs: number
  /** How long the result of an aborted task is waited for. */
  cancelMs: number
}

export const EXEC_TIMING: ExecTiming = { silenceMs: 20_000, awayMs: 90_000, busyMs: 10_000, cancelMs: 20_000 }

/**
 * Runs one attempt on an agent with `exec`. Survives reconnections of the agent, also to other replicas: what was missed is asked for
 * again by its sequence number. Throws AGENT_OFFLINE when nobody holds the agent at the start of an attempt that was not taken over, or
 * when it stays away (details.started).
 */
export async function runOnAgent(
  switchboard: Switchboard,
  request: ExecRequest,
  timing: ExecTiming,
): Promise<ExecResult> {
  const run = new AgentRun(switchboard, request, timing)
  try {
    return await run.run()
  } finally {
    run.leave()
  }
}

class AgentRun {
  readonly #switchboard: Switchboard
  readonly #request: ExecRequest
  readonly #timing: ExecTiming
  readonly #outcome = Promise.withResolvers<ExecResult>()
  readonly #undo: (() => void)[] = []
  #lastSeq: number
  #started = false
  #mayHaveStarted: boolean
  #cancelling = false
  #heard = performance.now()
  #busySince?: number

  constructor(switchboard: Switchboard, request: ExecRequest, timing: ExecTiming) {
    this.#switchboard = switchboard
    this.#request = request
    this.#timing = timing
    this.#lastSeq = request.afterSeq ?? 0
    this.#mayHaveStarted = request.takenOver ?? false
  }

  async run(): Promise<ExecResult> {
    const { agentId, taskId, timeoutMs, signal } = this.#request
    const { awayMs, silenceMs } = this.#timing
    signal?.throwIfAborted()
    this.#undo.push(
      this.#switchboard.listen(agentId, taskTopic(taskId), (message) => this.#hear(message)),
      this.#switchboard.onConnected(agentId, () => {
        this.#mayHaveStarted = true
        this.#again()
      }),
    )
    const abort = () => void this.#abort()
    signal?.addEventListener('abort', abort, { once: true })
    this.#undo.push(() => signal?.removeEventListener('abort', abort))
    // The agent keeps the command's own time; ours only ends the waiting for an agent that does not come back.
    const late = setTimeout(
      () => this.#outcome.reject(new Fault('AGENT_OFFLINE', { agentId, started: this.#started })),
      timeoutMs + awayMs,
    )
    const look = setInterval(() => {
      if (performance.now() - this.#heard >= silenceMs) this.#again()
    }, silenceMs)
    this.#undo.push(
      () => clearTimeout(late),
      () => clearInterval(look),
    )
    await this.#attach().catch((error: unknown) => {
      const isAway = error instanceof Fault && error.code === 'AGENT_OFFLINE'
      // It may have come, and been asked, while the answer was under way that nobody holds it.
      if (!(isAway && this.#mayHaveStarted)) throw error
    })
    return this.#outcome.promise
  }

  leave(): void {
    for (const undo of this.#undo) undo()
    this.#switchboard.tell(this.#request.agentId, { unwatch: taskTopic(this.#request.taskId) })
  }

  async #attach(): Promise<void> {
    const { agentId, taskId } = this.#request
    await this.#switchboard.call(agentId, {
      watch: taskTopic(taskId),
      message: { type: 'exec:start', payload: this.#start() },
    })
  }

  #start(): ServerPayload<'exec:start'> {
    const {
      taskId: task_id,
      attempt,
      timeoutMs: timeout_ms,
      maxOutputBytes: max_output_bytes = DEFAULT_OUTPUT_BYTES,
    } = this.#request
    const identity = { task_id, attempt, timeout_ms, max_output_bytes, after_seq: this.#lastSeq }
    // Once it runs, the agent knows the rest; one that knows nothing of it any more refuses, and does not run it a second time.
    if (this.#started) return identity
    const { command, args, shell, script, interpreter, cwd, env } = this.#request
    return { ...identity, command, args: args && [...args], shell, script, interpreter, cwd, env: env && { ...env } }
  }

  #again(): void {
    this.#heard = performance.now()
    // Away: `onConnected` or the next look tries again.
    this.#attach().catch((error: unknown) => {
      if (!(error instanceof Fault) || error.code !== 'AGENT_OFFLINE') this.#outcome.reject(error)
    })
    if (this.#cancelling) this.#cancel()
  }

  #hear(message: AgentMessage): void {
    this.#heard = performance.now()
    if (!('attempt' in message.payload) || message.payload.attempt !== this.#request.attempt) return
    switch (message.type) {
      case 'exec:started':
        if (!this.#started) this.#request.onStarted?.(message.payload.pid)
        this.#started = true
        return
      case 'exec:output':
        return this.#output(message.payload)
      case 'exec:result':
        return this.#result(message.payload)
      case 'exec:refused':
        return this.#refused(message.payload)
      default:
    }
  }

  #output({ seq, stream, data }: AgentPayload<'exec:output'>): void {
    if (seq <= this.#lastSeq) return
    // Something was lost between the replicas: from there on once more.
    if (seq > this.#lastSeq + 1) return this.#again()
    this.#lastSeq = seq
    this.#request.onOutput?.(stream, Buffer.from(data, 'base64'), seq)
  }

  #result(result: AgentPayload<'exec:result'>): void {
    if (result.last_seq > this.#lastSeq) return this.#again()
    this.#outcome.resolve({
      exitCode: result.exit_code,
      timedOut: result.timed_out,
      cancelled: result.cancelled,
      durationMs: result.duration_ms,
      stdoutBytes: result.stdout_bytes,
      stderrBytes: result.stderr_bytes,
      truncated: result.truncated,
      merged: false,
      ...(result.signal !== undefined && { signal: result.signal }),
      ...(result.error && { error: result.error }),
    })
  }

  #refused({ code, message }: AgentPayload<'exec:refused'>): void {
    const { agentId } = this.#request
    if (code === 'busy' && !this.#cancelling) {
      this.#busySince ??= performance.now()
      if (performance.now() - this.#busySince < this.#timing.busyMs) return void this.#retry()
      return this.#outcome.reject(
        new Fault('SYS_UNAVAILABLE', { part: 'agent', agentId, reason: code }, { message, retryAfterMs: 1_000 }),
      )
    }
    // It ran once and the agent has forgotten how it ended, or it is somebody else's turn.
    if (this.#started || code === 'already_finished' || code === 'stale_attempt') {
      return this.#outcome.reject(
        new Fault(
          'RES_CONFLICT',
          { agentId, reason: code },
          { message: `The agent does not run this attempt: ${message}` },
        ),
      )
    }
    if (code === 'unknown_task' && this.#cancelling) return this.#outcome.reject(this.#request.signal?.reason)
    this.#outcome.reject(new Fault('SYS_UNAVAILABLE', { part: 'agent', agentId, reason: code }, { message }))
  }

  async #retry(): Promise<void> {
    await pause(500)
    this.#again()
  }

  async #abort(): Promise<void> {
    const reason: unknown = this.#request.signal?.reason
    if (reason instanceof Detached) return this.#outcome.reject(reason)
    this.#cancelling = true
    this.#cancel()
    await pause(this.#timing.cancelMs)
    // The agent is away; it hears of the end of its task when it comes back.
    this.#outcome.reject(reason)
  }

  #cancel(): void {
    const { agentId, taskId, attempt } = this.#request
    this.#switchboard.tell(agentId, { message: { type: 'exec:cancel', payload: { task_id: taskId, attempt } } })
  }
}
