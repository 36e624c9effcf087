import { StringDecoder } from 'node:string_decoder'
import { Fault } from '@wheelhouse/contract'
import type { WebSocket } from 'ws'
import type { AttachedTerminal, TerminalWatcher } from '../../kernel/agents/index.ts'
import { pause } from '../../kernel/clock/index.ts'
import { can, type Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { lifeOf } from '../sockets/life.ts'
import { send } from '../sockets/message.ts'
import { findSession, IDLE_MS, moveSession, personBehind, type SessionRow } from './tables.ts'

/** The size until the client says its own (fleet.md §3.6). */
const FIRST_SIZE = { cols: 80, rows: 24 }
/** How often an attached terminal says that somebody is there. */
const SEEN_MS = 5 * 60_000

/** Who looks at a session on this replica: another socket of its owner takes it over. */
const attached = new Map<string, WebSocket>()

/**
 * Connects a socket with a terminal (fleet.md §3.6). What is wrong with the session is told by close code, after the upgrade:
 * 4001 not the owner, 4004 not there, 4503 agent offline, 4500 anything else.
 */
export async function attachTerminal(
  kernel: Kernel,
  principal: Principal,
  sessionId: string,
): Promise<(socket: WebSocket) => void> {
  const session = await kernel.db.tenant(principal.tenantId, (tx) => findSession(tx, sessionId))
  return (socket) => {
    if (!session || session.status === 'CLOSED') return socket.close(4004, 'terminal session not found')
    if (session.ownerId !== personBehind(principal) && !can(principal, 'terminal:admin'))
      return socket.close(4001, 'this terminal belongs to somebody else')
    if (session.status === 'PENDING') return socket.close(4001, 'this terminal waits for approval')
    new TerminalSocket(kernel, principal, session, socket).open()
  }
}

class TerminalSocket {
  readonly #kernel: Kernel
  readonly #principal: Principal
  readonly #session: SessionRow
  readonly #socket: WebSocket
  /** Characters that are cut between two chunks of output are put together again. */
  readonly #decoder = new StringDecoder('utf8')
  /** What the client types before the shell is there. */
  #early: Buffer[] = []
  #size = FIRST_SIZE
  #terminal: AttachedTerminal | undefined
  #over = false
  #typedAt: number

  constructor(kernel: Kernel, principal: Principal, session: SessionRow, socket: WebSocket) {
    this.#kernel = kernel
    this.#principal = principal
    this.#session = session
    this.#socket = socket
    this.#typedAt = kernel.clock.now()
  }

  open(): void {
    const { id } = this.#session
    attached.get(id)?.close(1001, 'replaced by a new connection')
    attached.set(id, this.#socket)
    this.#socket.on('message', (raw: Buffer, binary: boolean) => this.#receive(raw, binary))
    this.#socket.once('close', () => this.#leave())
    const life = lifeOf(this.#socket, this.#principal, this.#kernel.clock)
    this.#attach().catch((error: unknown) => this.#fail(error))
    this.#watchIdle(life).catch(() => undefined)
  }

  async #attach(): Promise<void> {
    const { agents } = this.#kernel
    const { agentId, id } = this.#session
    if (agentId === null) throw new Fault('AGENT_OFFLINE')
    const watcher: TerminalWatcher = {
      output: (data) => this.#show(data),
      closed: ({ exitCode, reason }) => this.#ended(exitCode, reason),
    }
    this.#terminal =
      this.#session.openedAt === null
        ? await this.#create(agentId, watcher)
        : await agents.terminals.attach(agentId, id, watcher)
    await this.#move('ACTIVE', true)
    if (this.#socket.readyState !== this.#socket.OPEN) return this.#terminal.detach()
    if (this.#terminal.replay.length > 0) this.#show(this.#terminal.replay)
    this.#terminal.resize(this.#size.cols, this.#size.rows)
    for (const data of this.#early) this.#terminal.input(data)
    this.#early = []
  }

  async #create(agentId: string, watcher: TerminalWatcher): Promise<AttachedTerminal> {
    const { agents } = this.#kernel
    const { id } = this.#session
    // A socket that came first may have opened it already.
    return agents.terminals.attach(agentId, id, watcher).catch((error: unknown) => {
      if (!(error instanceof Fault) || error.code !== 'RES_NOT_FOUND') throw error
      return agents.terminals.open({ agentId, sessionId: id, ...this.#size }, watcher)
    })
  }

  #receive(raw: Buffer, binary: boolean): void {
    if (binary) return this.#type(raw)
    let message: unknown
    try {
      message = JSON.parse(raw.toString('utf8'))
    } catch {
      // fleet.md §3.6: text that is no JSON is raw input.
      return this.#type(raw)
    }
    const { type, data, cols, rows } = (message ?? {}) as Record<string, unknown>
    if (type === 'data' && typeof data === 'string') this.#type(Buffer.from(data))
    else if (type === 'resize' && isSize(cols) && isSize(rows)) {
      this.#size = { cols, rows }
      this.#terminal?.resize(cols, rows)
    } else if (typeof message !== 'object') this.#type(raw)
  }

  #type(data: Buffer): void {
    this.#typedAt = this.#kernel.clock.now()
    if (this.#terminal) this.#terminal.input(data)
    else if (this.#early.length < 100) this.#early.push(data)
  }

  #show(data: Buffer): void {
    const text = this.#decoder.write(data)
    if (text !== '') send(this.#socket, { type: 'data', data: text })
  }

  #ended(exitCode: number, reason: string | undefined): void {
    this.#over = true
    const notice = reason ?? `process exited with code ${exitCode}`
    send(this.#socket, { type: 'data', data: `\r\n[${notice}]\r\n` })
    this.#socket.close(1000, 'process exited')
    this.#note('CLOSED')
  }

  #leave(): void {
    const { id } = this.#session
    if (attached.get(id) !== this.#socket) return
    attached.delete(id)
    if (this.#over) return
    // The shell goes on for five minutes, for whoever comes back.
    this.#terminal?.detach()
    this.#note('DISCONNECTED')
  }

  async #watchIdle(life: AbortSignal): Promise<void> {
    const { clock } = this.#kernel
    for (;;) {
      await pause(Math.min(SEEN_MS, Math.max(1000, this.#typedAt + IDLE_MS - clock.now())), life)
      if (clock.now() - this.#typedAt >= IDLE_MS) {
        this.#over = true
        this.#terminal?.close()
        this.#socket.close(1000, 'idle timeout')
        return this.#move('CLOSED')
      }
      await this.#move('ACTIVE')
    }
  }

  async #move(to: 'ACTIVE' | 'CLOSED' | 'DISCONNECTED', opened = false): Promise<void> {
    const { db, feed, clock } = this.#kernel
    await db.tenant(this.#principal.tenantId, (tx) => moveSession(tx, feed, clock.now(), this.#session.id, to, opened))
  }

  /** The same where nobody can wait for it. */
  #note(to: 'CLOSED' | 'DISCONNECTED'): void {
    this.#move(to).catch((error: unknown) => this.#log(error))
  }

  #fail(error: unknown): void {
    const code = error instanceof Fault ? error.code : undefined
    if (code === 'AGENT_OFFLINE') return this.#socket.close(4503, 'the agent is offline')
    if (code === 'RES_NOT_FOUND') {
      this.#over = true
      this.#note('CLOSED')
      return this.#socket.close(4004, 'terminal session not found')
    }
    this.#log(error)
    this.#socket.close(4500, 'the terminal could not be opened')
  }

  #log(error: unknown): void {
    this.#kernel.log.warn({ err: error, session: this.#session.id }, 'A terminal met a difficulty')
  }
}

const isSize = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) > 0 && Number(value) <= 1000
