import { randomUUID } from 'node:crypto'
import type { AgentPayload, ServerPayload } from '@wheelhouse/sdk/agent-protocol'
import { execute } from './execute.ts'
import type { Execution } from './execute.ts'

type Dispatch = ServerPayload<'command:dispatch'>
type CommandResult = AgentPayload<'command:result'>

const KEPT_BYTES = 256 * 1024
const REMEMBERED = 1_000
const DEFAULT_TIMEOUT_MS = 300_000

/**
 * The base protocol's commands, for servers that know nothing of `exec:*`: output is collected and sent with the result. A command id runs
 * once in the life of the agent; asked again, its result is sent again. Nothing is kept on disk, as the base has no acknowledgement.
 */
export class Commands {
  readonly #shell: string
  readonly #mayRun: () => boolean
  readonly #reply: (result: CommandResult) => void
  readonly #results = new Map<string, CommandResult | undefined>()
  readonly #running = new Map<string, Execution>()

  constructor(shell: string, mayRun: () => boolean, reply: (result: CommandResult) => void) {
    this.#shell = shell
    this.#mayRun = mayRun
    this.#reply = reply
  }

  get count(): number {
    return this.#running.size
  }

  dispatch({ command_id, command, args = [], env = [], timeout_ms }: Dispatch): void {
    if (this.#results.has(command_id)) {
      const result = this.#results.get(command_id)
      if (result) this.#reply(result)
      return
    }
    if (!this.#mayRun()) {
      this.#reply({
        command_id,
        stdout: '',
        stderr: 'the agent runs as many commands as it may',
        exit_code: -1,
        duration_ms: 0,
      })
      return
    }
    this.#results.set(command_id, undefined)
    const output = { stdout: new Collected(), stderr: new Collected() }
    const execution = execute(
      {
        taskId: command_id,
        attempt: 1,
        mark: randomUUID(),
        command,
        args,
        ...(args.length === 0 && { shell: this.#shell }),
        env: Object.fromEntries(env.map((pair) => [pair.split('=', 1)[0] ?? '', pair.slice(pair.indexOf('=') + 1)])),
        timeoutMs: timeout_ms || DEFAULT_TIMEOUT_MS,
      },
      { started: () => {}, output: (stream, data) => output[stream].add(data) },
    )
    this.#running.set(command_id, execution)
    void this.#settle(command_id, execution, output)
  }

  async stop(): Promise<void> {
    for (const execution of this.#running.values()) execution.end('agent_stopped', 2_000)
    await Promise.all([...this.#running.values()].map((execution) => execution.done))
  }

  async #settle(
    command_id: string,
    execution: Execution,
    output: Record<'stdout' | 'stderr', Collected>,
  ): Promise<void> {
    const { exitCode, timedOut, error, durationMs } = await execution.done
    this.#running.delete(command_id)
    const why = timedOut ? 'the command timed out' : error?.message
    const stderr = [output.stderr.toString(), why].filter(Boolean).join('\n')
    const result = {
      command_id,
      stdout: output.stdout.toString(),
      stderr,
      exit_code: exitCode ?? -1,
      duration_ms: durationMs,
    }
    this.#results.set(command_id, result)
    this.#forgetOldest()
    this.#reply(result)
  }

  #forgetOldest(): void {
    for (const id of this.#results.keys()) {
      if (this.#results.size <= REMEMBERED) return
      if (!this.#running.has(id)) this.#results.delete(id)
    }
  }
}

class Collected {
  readonly #parts: Buffer[] = []
  #bytes = 0

  add(data: Buffer): void {
    const part = data.subarray(0, KEPT_BYTES - this.#bytes)
    this.#bytes += part.length
    if (part.length > 0) this.#parts.push(part)
  }

  toString(): string {
    return Buffer.concat(this.#parts).toString('utf8').replaceAll('\0', '')
  }
}
