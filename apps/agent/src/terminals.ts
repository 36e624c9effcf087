import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import type { IPty } from '@lydell/node-pty'
import { CHUNK_BYTES } from '@wheelhouse/sdk/agent-protocol'
import type { AgentMessage, ServerPayload } from '@wheelhouse/sdk/agent-protocol'
import { childEnvironment } from './config.ts'
import { messageOf } from './log.ts'
import type { Log } from './log.ts'

type PtyModule = typeof import('@lydell/node-pty')
/** With `encoding: null` the library speaks bytes in both directions, whatever its types say. */
type BytePty = Omit<IPty, 'write' | 'onData'> & {
  write(data: Buffer): void
  onData(listener: (data: Buffer) => void): void
}

/** The pseudo-terminal library, or undefined where its native part does not load: then the agent declares no terminals. */
export async function loadPty(log: Log): Promise<PtyModule | undefined> {
  try {
    return await import('@lydell/node-pty')
  } catch (error) {
    log.warn('no terminals on this host', { error: messageOf(error) })
    return undefined
  }
}

export interface TerminalsOptions {
  pty: PtyModule
  shell: string
  /** False: there is no connection, and the message is gone. */
  send(message: AgentMessage): Promise<boolean>
  log: Log
}

interface Terminal {
  pty: BytePty
  /** Output that waits: for the network, or while there is no connection for the next one. */
  waiting: Buffer[]
  waitingBytes: number
  pumping: boolean
  exit?: number
  orphaned?: NodeJS.Timeout
}

const KEPT_BYTES = 256 * 1024
const ORPHANED_MS = 5 * 60_000
const MOST_TERMINALS = 64

/** Shells on pseudo-terminals. They outlive the connection by five minutes, with the last 256 KiB of what they wrote meanwhile. */
export class Terminals {
  readonly #options: TerminalsOptions
  readonly #terminals = new Map<string, Terminal>()
  #connected = false

  constructor(options: TerminalsOptions) {
    this.#options = options
  }

  ids(): string[] {
    return [...this.#terminals.keys()]
  }

  async create(id: string, request: ServerPayload<'terminal:create'>): Promise<void> {
    if (!this.#terminals.has(id)) {
      try {
        this.#open(id, request)
      } catch (error) {
        await this.#say(id, 'terminal:error', { message: messageOf(error) })
        return
      }
    } else {
      this.resize(id, request.cols, request.rows)
    }
    await this.#say(id, 'terminal:created', { pid: this.#terminals.get(id)!.pty.pid })
  }

  input(id: string, data: Buffer): void {
    this.#terminals.get(id)?.pty.write(data)
  }

  resize(id: string, cols: number, rows: number): void {
    const terminal = this.#terminals.get(id)
    if (terminal && terminal.exit === undefined && cols > 0 && rows > 0) terminal.pty.resize(cols, rows)
  }

  /** Hangs up: the shell gets SIGHUP as from a closed window; `terminal:closed` follows when it is gone. */
  close(id: string): void {
    const pty = this.#terminals.get(id)?.pty
    if (!pty) return
    hangUp(pty, 'SIGHUP')
    setTimeout(() => {
      if (this.#terminals.get(id)?.pty === pty) hangUp(pty, 'SIGKILL')
    }, 2_000).unref()
  }

  connected(): void {
    this.#connected = true
    for (const [id, terminal] of this.#terminals) {
      clearTimeout(terminal.orphaned)
      this.#wake(id, terminal)
    }
  }

  disconnected(): void {
    this.#connected = false
    for (const [id, terminal] of this.#terminals) {
      clearTimeout(terminal.orphaned)
      terminal.orphaned = setTimeout(() => this.#abandon(id), ORPHANED_MS)
      terminal.orphaned.unref()
    }
  }

  stop(): void {
    for (const { pty } of this.#terminals.values()) hangUp(pty, 'SIGKILL')
    this.#terminals.clear()
  }

  #open(id: string, { cols, rows, shell, cwd, env }: ServerPayload<'terminal:create'>): void {
    if (this.#terminals.size >= MOST_TERMINALS)
      throw new Error(`${MOST_TERMINALS} terminals are open, which is this agent's limit`)
    const folder = cwd ?? homedir()
    if (!existsSync(folder)) throw new Error(`no such folder: ${folder}`)
    const pty = this.#options.pty.spawn(shell ?? this.#options.shell, [], {
      name: 'xterm-256color',
      cols: cols || 80,
      rows: rows || 24,
      cwd: folder,
      env: { ...childEnvironment(), ...env, TERM: 'xterm-256color' },
      encoding: null,
    }) as unknown as BytePty
    const terminal: Terminal = { pty, waiting: [], waitingBytes: 0, pumping: false }
    this.#terminals.set(id, terminal)
    pty.onData((data) => {
      terminal.waiting.push(data)
      terminal.waitingBytes += data.length
      if (this.#connected && terminal.waitingBytes > KEPT_BYTES) pty.pause()
      this.#wake(id, terminal)
    })
    pty.onExit(({ exitCode, signal }) => {
      terminal.exit = signal ? 128 + signal : exitCode
      this.#wake(id, terminal)
    })
    this.#options.log.info('terminal opened', { session: id, pid: pty.pid })
  }

  #wake(id: string, terminal: Terminal): void {
    if (!this.#connected) {
      while (terminal.waitingBytes > KEPT_BYTES)
        terminal.waitingBytes -= terminal.waiting.shift()?.length ?? terminal.waitingBytes
      terminal.pty.resume()
    }
    if (terminal.pumping || !this.#connected) return
    terminal.pumping = true
    void this.#pump(id, terminal).finally(() => (terminal.pumping = false))
  }

  async #pump(id: string, terminal: Terminal): Promise<void> {
    while (this.#connected && terminal.waiting.length > 0) {
      const all = Buffer.concat(terminal.waiting)
      const part = all.subarray(0, CHUNK_BYTES)
      terminal.waiting = all.length > part.length ? [all.subarray(part.length)] : []
      terminal.waitingBytes = all.length - part.length
      if (!(await this.#say(id, 'terminal:output', { data: part.toString('base64') }))) {
        terminal.waiting.unshift(part)
        terminal.waitingBytes += part.length
        return
      }
      if (terminal.waitingBytes <= KEPT_BYTES / 2 && terminal.exit === undefined) terminal.pty.resume()
    }
    if (terminal.exit === undefined || terminal.waiting.length > 0 || this.#terminals.get(id) !== terminal) return
    if (await this.#say(id, 'terminal:closed', { exit_code: terminal.exit })) this.#forget(id)
  }

  #abandon(id: string): void {
    const terminal = this.#terminals.get(id)
    if (!terminal) return
    this.#options.log.info('terminal closed: the server did not come back for it', { session: id })
    hangUp(terminal.pty, 'SIGKILL')
    this.#forget(id)
  }

  #forget(id: string): void {
    clearTimeout(this.#terminals.get(id)?.orphaned)
    this.#terminals.delete(id)
  }

  #say<T extends 'terminal:output' | 'terminal:closed' | 'terminal:created' | 'terminal:error'>(
    id: string,
    type: T,
    payload: object,
  ): Promise<boolean> {
    // The session stands in the envelope and in the payload, as the base protocol has it.
    return this.#options.send({ type, session_id: id, payload: { session_id: id, ...payload } } as AgentMessage)
  }
}

function hangUp(pty: BytePty, signal: string): void {
  try {
    pty.kill(signal)
  } catch {
    // It is gone already.
  }
}
