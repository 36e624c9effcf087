import { Fault } from '@wheelhouse/contract'
import type { AgentPayload } from '@wheelhouse/sdk/agent-protocol'
import { ids } from '../clock/index.ts'
import { DEFAULT_OUTPUT_BYTES, type ExecRequest, type ExecResult } from './exec.ts'
import type { Switchboard } from './switchboard.ts'
import { ScreenReader, shellScript, typedLines } from './terminal-command.ts'
import { taskTopic } from './topics.ts'
import type { Terminals } from './terminals.ts'

/** How long an agent may take to answer its first `command:dispatch` before it counts as one that ignores them (fleet.md 3.16). */
const PROBE_MS = 2_000

/** Runs commands on agents that speak only the base protocol. Nothing survives a reconnection there: a run that is cut off is an error. */
export class BaseExec {
  readonly #switchboard: Switchboard
  readonly #terminals: Terminals
  /** Whether an agent answers `command:dispatch`; forgotten when it connects anew, for it may be another version then. */
  readonly #dispatches = new Map<string, Promise<boolean>>()

  constructor(switchboard: Switchboard, terminals: Terminals) {
    this.#switchboard = switchboard
    this.#terminals = terminals
  }

  async run(request: ExecRequest): Promise<ExecResult> {
    request.signal?.throwIfAborted()
    return (await this.#knowsDispatch(request.agentId)) ? this.#dispatch(request) : this.#type(request)
  }

  #knowsDispatch(agentId: string): Promise<boolean> {
    const known = this.#dispatches.get(agentId)
    if (known) return known
    const probe = this.#command(agentId, ids.next(), { command: 'true', timeout_ms: PROBE_MS }, PROBE_MS).then(
      (result) => result !== undefined,
      (error: unknown) => {
        this.#dispatches.delete(agentId)
        throw error
      },
    )
    this.#dispatches.set(agentId, probe)
    const forget = this.#switchboard.onConnected(agentId, () => {
      this.#dispatches.delete(agentId)
      forget()
    })
    return probe
  }

  /** One `command:dispatch`; undefined when no result comes in time. */
  async #command(
    agentId: string,
    command_id: string,
    command: { command: string; args?: string[]; env?: string[]; timeout_ms: number },
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<AgentPayload<'command:result'> | undefined> {
    const topic = taskTopic(command_id)
    const answered = Promise.withResolvers<AgentPayload<'command:result'> | undefined>()
    const stop = this.#switchboard.listen(agentId, topic, (message) => {
      if (message.type === 'command:result') answered.resolve(message.payload)
    })
    const late = setTimeout(() => answered.resolve(undefined), waitMs)
    const abort = () => answered.reject(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    try {
      await this.#switchboard.call(agentId, {
        watch: topic,
        message: { type: 'command:dispatch', payload: { command_id, ...command } },
      })
      return await answered.promise
    } finally {
      clearTimeout(late)
      signal?.removeEventListener('abort', abort)
      stop()
      this.#switchboard.tell(agentId, { unwatch: topic })
    }
  }

  async #dispatch(request: ExecRequest): Promise<ExecResult> {
    const { agentId, taskId, attempt, timeoutMs, signal, onOutput } = request
    const command = { command: '/bin/sh', args: ['-c', shellScript(request)], timeout_ms: timeoutMs }
    const result = await this.#command(agentId, `${taskId}.${attempt}`.slice(-128), command, timeoutMs + 5_000, signal)
    if (!result)
      throw new Fault(
        'AGENT_OFFLINE',
        { agentId, started: true },
        { message: 'The agent of this machine did not send a result' },
      )
    const limit = request.maxOutputBytes ?? DEFAULT_OUTPUT_BYTES
    const stdout = Buffer.from(result.stdout)
    const stderr = Buffer.from(result.stderr)
    const [out, err] = [stdout.subarray(0, limit), stderr.subarray(0, Math.max(0, limit - stdout.length))]
    if (out.length > 0) onOutput?.('stdout', out, 1)
    if (err.length > 0) onOutput?.('stderr', err, 2)
    return {
      exitCode: result.exit_code < 0 ? null : result.exit_code,
      timedOut: result.exit_code < 0 && result.duration_ms >= timeoutMs,
      cancelled: false,
      durationMs: result.duration_ms,
      stdoutBytes: stdout.length,
      stderrBytes: stderr.length,
      truncated: out.length + err.length < stdout.length + stderr.length,
      merged: false,
    }
  }

  /** Types the command into a short-lived terminal; what it writes between two marks is its output, both streams as one. */
  async #type(request: ExecRequest): Promise<ExecResult> {
    const { agentId, timeoutMs, signal, onOutput } = request
    const limit = request.maxOutputBytes ?? DEFAULT_OUTPUT_BYTES
    const begun = performance.now()
    const over = Promise.withResolvers<{ exitCode: number | null; timedOut: boolean; cancelled: boolean }>()
    let bytes = 0
    let kept = 0
    let seq = 0
    const screen = new ScreenReader({
      output(data) {
        const part = data.subarray(0, limit - kept)
        bytes += data.length
        kept += part.length
        if (part.length > 0) onOutput?.('stdout', part, ++seq)
      },
      ended: (exitCode) => over.resolve({ exitCode, timedOut: false, cancelled: false }),
    })
    const terminal = await this.#terminals.open(
      { agentId, cols: 200, rows: 50, shell: '/bin/sh' },
      {
        output: (data) => screen.read(data),
        closed: () =>
          over.reject(
            new Fault(
              'AGENT_OFFLINE',
              { agentId, started: true },
              { message: 'The terminal of the command was closed' },
            ),
          ),
      },
    )
    const late = setTimeout(() => over.resolve({ exitCode: null, timedOut: true, cancelled: false }), timeoutMs)
    const abort = () => over.resolve({ exitCode: null, timedOut: false, cancelled: true })
    signal?.addEventListener('abort', abort, { once: true })
    try {
      terminal.input(Buffer.from(screen.preparation))
      await Promise.race([screen.prepared, over.promise])
      for (const lines of typedLines(shellScript(request), screen.mark)) terminal.input(Buffer.from(lines))
      const end = await over.promise
      // Interrupts what runs in the foreground before the hang-up ends the rest.
      if (end.exitCode === null) terminal.input(Buffer.from('\x03'))
      const durationMs = Math.round(performance.now() - begun)
      return { ...end, durationMs, stdoutBytes: bytes, stderrBytes: 0, truncated: bytes > kept, merged: true }
    } finally {
      clearTimeout(late)
      signal?.removeEventListener('abort', abort)
      terminal.close()
    }
  }
}
