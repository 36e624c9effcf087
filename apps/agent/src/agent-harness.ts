import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import { decodeAgentMessage, encodeMessage } from '@wheelhouse/sdk/agent-protocol'
import type { AgentMessage, AgentPayload, ServerMessage, ServerPayload } from '@wheelhouse/sdk/agent-protocol'
import { parseStat } from './proc.ts'

// For tests: the server's side of the protocol on a real socket, and the agent as the process that users start.

export const TOKEN = 'wh_agent_token_that_must_not_show'
const DEADLINE_MS = 15_000

type Of<T extends AgentMessage['type']> = Extract<AgentMessage, { type: T }>

/** Polls until `check` answers something; fails with `what` after 15 s. */
export async function until<T>(
  what: string,
  check: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + DEADLINE_MS
  for (;;) {
    const found = await check()
    if (found !== undefined && found !== false) return found
    if (performance.now() > deadline) throw new Error(`waited ${DEADLINE_MS} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** A server that an agent can register with and connect to. It answers `hello`, and otherwise says what the test says. */
export class TestServer {
  readonly registrations: { headers: IncomingMessage['headers']; body: Record<string, unknown> }[] = []
  readonly upgrades: IncomingMessage[] = []
  readonly messages: AgentMessage[] = []
  readonly frames: string[] = []
  intervals: { heartbeat_ms?: number; metrics_ms?: number } = {}
  speaksBaseOnly = false
  #http?: Server
  #sockets?: WebSocketServer
  #socket?: WebSocket
  port = 0

  async start(): Promise<this> {
    const http = createServer((request, response) => void this.#register(request, response))
    this.#sockets = new WebSocketServer({ server: http, path: '/ws/agent' })
    this.#sockets.on('connection', (socket, request) => {
      this.upgrades.push(request)
      this.#socket = socket
      socket.on('message', (data) => this.#receive(socket, String(data)))
    })
    this.#http = http
    http.listen(this.port, '127.0.0.1')
    await once(http, 'listening')
    this.port = (http.address() as AddressInfo).port
    return this
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get isConnected(): boolean {
    return this.#socket?.readyState === 1
  }

  send(message: ServerMessage): void {
    if (!this.#socket) throw new Error('no agent is connected')
    this.#socket.send(encodeMessage(message))
  }

  sendRaw(frame: string): void {
    this.#socket?.send(frame)
  }

  /** Ends at once, as if killed; `start` takes the same port again. */
  async stop(): Promise<void> {
    for (const client of this.#sockets?.clients ?? []) client.terminate()
    this.#sockets?.close()
    this.#http?.closeAllConnections()
    this.#http?.close()
    if (this.#http?.listening) await once(this.#http, 'close')
    this.#socket = undefined
  }

  /** The first message of a type that fits, already there or still to come. */
  next<T extends AgentMessage['type']>(
    type: T,
    fits: (payload: Of<T>['payload']) => boolean = () => true,
  ): Promise<Of<T>> {
    return until(`a message ${type}; had ${this.messages.map((message) => message.type).join(' ')}`, () =>
      this.all(type).find((message) => fits(message.payload as Of<T>['payload'])),
    )
  }

  all<T extends AgentMessage['type']>(type: T): Of<T>[] {
    return this.messages.filter((message): message is Of<T> => message.type === type)
  }

  exec(start: Partial<ServerPayload<'exec:start'>> & { task_id: string }): void {
    this.send({
      type: 'exec:start',
      payload: { attempt: 1, timeout_ms: 30_000, max_output_bytes: 1_048_576, ...start },
    })
  }

  async result(taskId: string): Promise<AgentPayload<'exec:result'>> {
    return (await this.next('exec:result', ({ task_id }) => task_id === taskId)).payload
  }

  output(taskId: string, stream: 'stdout' | 'stderr'): string {
    const frames = this.all('exec:output').filter(
      ({ payload }) => payload.task_id === taskId && payload.stream === stream,
    )
    return Buffer.concat(frames.map(({ payload }) => Buffer.from(payload.data, 'base64'))).toString('utf8')
  }

  #receive(socket: WebSocket, frame: string): void {
    this.frames.push(frame)
    const message = decodeAgentMessage(frame)
    this.messages.push(message)
    if (message.type === 'hello' && !this.speaksBaseOnly) {
      socket.send(encodeMessage({ type: 'hello:ok', payload: { agent_id: 'agent-1', ...this.intervals } }))
    }
  }

  async #register(request: IncomingMessage, response: import('node:http').ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const fits = request.method === 'POST' && request.url === '/api/v1/instances'
    if (fits)
      this.registrations.push({
        headers: request.headers,
        body: JSON.parse(Buffer.concat(parts).toString('utf8')) as Record<string, unknown>,
      })
    response.writeHead(fits ? 201 : 404, { 'content-type': 'application/json' }).end('{}')
  }
}

/** The agent as a process of its own. */
export class AgentProcess {
  readonly dataDir: string
  readonly #env: Record<string, string>
  readonly #program: string
  #child?: ChildProcess
  log = ''

  constructor(
    server: TestServer,
    env: Record<string, string> = {},
    program = fileURLToPath(new URL('./main.ts', import.meta.url)),
  ) {
    this.dataDir = mkdtempSync(join(tmpdir(), 'wheelhouse-agent-'))
    this.#program = program
    this.#env = {
      WHEELHOUSE_AGENT_URL: server.url,
      WHEELHOUSE_AGENT_TOKEN: TOKEN,
      WHEELHOUSE_AGENT_ID: 'host-1',
      WHEELHOUSE_AGENT_DATA_DIR: this.dataDir,
      WHEELHOUSE_AGENT_LOG_LEVEL: 'debug',
      ...env,
    }
  }

  get pid(): number {
    return this.#child?.pid ?? -1
  }

  start(): this {
    this.#child = spawn(process.execPath, [this.#program], {
      cwd: this.dataDir,
      env: { PATH: process.env.PATH, HOME: this.dataDir, ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (data) => (this.log += String(data)))
    return this
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child
    if (!child) return null
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit')
      child.kill(signal)
      await exit
    }
    return child.exitCode
  }

  async remove(): Promise<void> {
    await this.end('SIGKILL')
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}

/** False too for a process that has ended and waits for its parent to notice: in a container pid 1 may never do so. */
export function isAlive(pid: number): boolean {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.state !== 'Z'
  } catch {
    return false
  }
}
