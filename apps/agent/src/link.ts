import { WebSocket } from 'ws'
import { AGENT_FRAME_BYTES } from '@wheelhouse/sdk/agent-protocol'
import { messageOf } from './log.ts'
import type { Log } from './log.ts'

export interface LinkOptions {
  /** The server's address; the socket is `/ws/agent` below it. */
  url: URL
  token: string
  version: string
  log: Log
  onOpen(): void
  onFrame(frame: string): void
  onClose(): void
}

const HANDSHAKE_MS = 10_000
const PING_MS = 50_000
const PONG_MS = 60_000
const FIRST_DELAY_MS = 500
const LONGEST_DELAY_MS = 30_000
/** Open this long, a connection counts as good although the server said nothing. */
const STEADY_MS = 10_000

/** The one connection to the server, kept up until `stop`: opened again after 0.5 s, doubling to 30 s, each a random part of it. */
export class Link {
  readonly #options: LinkOptions
  #socket?: WebSocket
  #failures = 0
  #retry?: NodeJS.Timeout
  #stopped = false

  constructor(options: LinkOptions) {
    this.#options = options
  }

  start(): void {
    if (!this.#stopped) this.#connect()
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN
  }

  /** Bytes that wait in this process for the network. */
  get backlog(): number {
    return this.#socket?.bufferedAmount ?? 0
  }

  /** Sends one frame on the present connection; true once it has been handed to the operating system. Never throws. */
  send(frame: string): Promise<boolean> {
    const socket = this.#socket
    if (!socket || socket.readyState !== WebSocket.OPEN) return Promise.resolve(false)
    return new Promise((resolve) => socket.send(frame, (error) => resolve(!error)))
  }

  /** The server has accepted us: the next interruption begins with short waits again. */
  confirm(): void {
    this.#failures = 0
  }

  /** Says goodbye (1000) and waits at most a second for the answer. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#retry)
    const socket = this.#socket
    if (!socket || socket.readyState === WebSocket.CLOSED) return
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.close(1000, 'agent shutdown')
    const timer = setTimeout(() => socket.terminate(), 1_000)
    await closed
    clearTimeout(timer)
  }

  #connect(): void {
    const { url, token, version, log } = this.#options
    const socket = new WebSocket(socketUrl(url), {
      headers: { authorization: `Bearer ${token}`, 'x-agent-version': version },
      handshakeTimeout: HANDSHAKE_MS,
      maxPayload: AGENT_FRAME_BYTES,
      perMessageDeflate: false,
    })
    this.#socket = socket
    let heard = performance.now()
    let ping: NodeJS.Timeout | undefined
    let steady: NodeJS.Timeout | undefined
    socket.on('open', () => {
      heard = performance.now()
      log.info('connected', { url: url.origin })
      steady = setTimeout(() => this.confirm(), STEADY_MS)
      ping = setInterval(() => {
        if (performance.now() - heard > PONG_MS) socket.terminate()
        else socket.ping()
      }, PING_MS)
      this.#options.onOpen()
    })
    for (const event of ['pong', 'ping', 'message'] as const) socket.on(event, () => (heard = performance.now()))
    socket.on('message', (data: Buffer, binary) => {
      if (!binary) this.#options.onFrame(data.toString('utf8'))
    })
    socket.on('error', (error) => log.warn('connection failed', { error: messageOf(error) }))
    socket.on('close', (code, reason) => {
      clearInterval(ping)
      clearTimeout(steady)
      this.#options.onClose()
      if (this.#stopped) return
      // Replaced means that another agent bears our id: two that retry at once would only throw each other out.
      const replaced = code === 1001 && reason.toString().startsWith('replaced')
      const wait = replaced ? LONGEST_DELAY_MS : retryDelay(this.#failures++)
      log.info('disconnected', { code, reason: reason.toString(), retryMs: wait })
      this.#retry = setTimeout(() => this.#connect(), wait)
    })
  }
}

/** Wait before try `failures` + 1, in milliseconds: half of the doubling wait is fixed, half random, so that a fleet does not return as one. */
export function retryDelay(failures: number, random = Math.random()): number {
  const whole = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, 20))
  return Math.round(whole / 2 + (whole / 2) * random)
}

export function socketUrl(url: URL): string {
  return apiUrl(url, '/ws/agent').replace(/^http/, 'ws')
}

/** A path below the server's address, which may itself have a path (a surface, or a proxy's prefix). */
export function apiUrl(url: URL, path: string): string {
  const protocol = url.protocol.replace(/^ws/, 'http')
  return `${protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}${path}`
}
