import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { pino } from 'pino'
import { inject } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { encodeMessage, type AgentMessage } from '@wheelhouse/sdk/agent-protocol'
import { type Bus, openBus } from '../bus/index.ts'
import { type Clock, systemClock } from '../clock/index.ts'
import { type Db, migrate, openDb } from '../db/index.ts'
import {
  type Authenticator,
  authenticator,
  createKey,
  createTenant,
  createUser,
  type Principal,
} from '../identity/index.ts'
import { type Agents, type AgentsOptions, type AgentSink, openAgents } from './index.ts'

// For tests: hubs behind real sockets, on a database of their own and the run's bus, and the agent as the process that users start.

const DEADLINE_MS = 15_000
const log = pino({ level: process.env['TEST_LOG'] ?? 'silent' })

/** Polls until `check` answers something; fails with `what` after 15 s. */
export async function until<T>(
  what: string,
  check: () => T | undefined | false | null | Promise<T | undefined | false | null>,
): Promise<T> {
  const deadline = performance.now() + DEADLINE_MS
  for (;;) {
    const found = await check()
    if (found !== undefined && found !== false && found !== null) return found
    if (performance.now() > deadline) throw new Error(`waited ${DEADLINE_MS} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 15))
  }
}

export interface Ground {
  db: Db
  bus: Bus
  tenantId: string
  principal: Principal
  /** A key that any agent may share. */
  sharedKey: string
  authenticator: Authenticator
  close(): Promise<void>
}

/** A migrated database with one tenant, its administrator and a key of role system-agent. */
export async function openGround(): Promise<Ground> {
  const { host, port, user, password } = inject('postgres')
  const name = `wh_agents_${randomBytes(6).toString('hex')}`
  const admin = async (statement: string): Promise<void> => {
    const client = new pg.Client({ host, port, user, password, database: 'postgres' })
    await client.connect()
    await client.query(statement).finally(() => client.end())
  }
  await admin(`create database ${name}`)
  const url = `postgres://${user}:${password}@${host}:${port}/${name}`
  await migrate(url)
  const db = openDb({ url, log, maxConnections: 8 })
  const { url: natsUrl, keys } = inject('nats')
  const bus = await openBus({ urls: [natsUrl], keys, log })
  const now = Date.now()
  const { tenantId, sharedKey, adminKey } = await db.auth(async (tx) => {
    const { id } = await createTenant(tx, `t-${randomBytes(3).toString('hex')}`, 'Tenant')
    const owner = await createUser(tx, now, {
      tenantId: id,
      username: 'admin',
      password: 'Test-password-1',
      role: 'admin',
    })
    const shared = await createKey(tx, now, {
      tenantId: id,
      ownerId: owner.id,
      name: 'agents',
      kind: 'system',
      roles: ['system-agent'],
    })
    const own = await createKey(tx, now, { tenantId: id, ownerId: owner.id, name: 'admin' })
    return { tenantId: id, sharedKey: shared.token, adminKey: own.token }
  })
  const gate = authenticator(db, systemClock, { defaultRole: 'viewer' })
  return {
    db,
    bus,
    tenantId,
    principal: await gate.opaque(adminKey),
    sharedKey,
    authenticator: gate,
    async close() {
      await bus.close()
      await db.close()
      await admin(`drop database if exists ${name} with (force)`)
    },
  }
}

/** What the sinks of a hub were told. */
export class Heard {
  readonly connected: string[] = []
  readonly liveness: string[] = []
  readonly metrics: Parameters<NonNullable<AgentSink['metrics']>>[1][] = []
  readonly lines: string[] = []
  readonly events: string[] = []
  readonly usage: string[] = []
  taskStates: ReadonlyMap<string, 'active' | 'ended'> = new Map()

  sink(): AgentSink {
    return {
      connected: async (_tx, agent, { created }) => void this.connected.push(`${agent.name}${created ? ' new' : ''}`),
      liveness: async (_tx, agent, { from, to }) => void this.liveness.push(`${agent.name} ${from} ${to}`),
      metrics: (_agent, metrics) => void this.metrics.push(metrics),
      logs: async (_agent, { lines }) =>
        void this.lines.push(...lines.map(({ message, line }) => message ?? line ?? '')),
      event: (_agent, event) => void this.events.push(event.event_type),
      usage: (_agent, { records }) => void this.usage.push(...records.map(({ model }) => model)),
      tasks: async () => this.taskStates,
    }
  }
}

/** One replica's hub behind a real listener. */
export class TestHub {
  readonly heard = new Heard()
  readonly agents: Agents
  readonly #http = createServer((_request, response) =>
    response.writeHead(201, { 'content-type': 'application/json' }).end('{}'),
  )
  readonly #sockets = new WebSocketServer({ noServer: true })
  port = 0

  private constructor(ground: Ground, options: Partial<AgentsOptions> & { clock?: Clock }) {
    this.agents = openAgents({
      db: ground.db,
      bus: ground.bus,
      clock: systemClock,
      log,
      heartbeatMs: 500,
      metricsMs: 500,
      ...options,
    })
    this.agents.tellTo(this.heard.sink())
    this.#http.on('upgrade', (request, socket, head) => {
      const token = request.headers.authorization?.replace(/^Bearer /, '') ?? ''
      ground.authenticator.opaque(token).then(
        (principal) =>
          this.#sockets.handleUpgrade(request, socket, head, (client) => {
            const hint = request.headers['x-instance-id']
            this.agents.accept(client, principal, { ...(typeof hint === 'string' && { instanceHint: hint }) })
          }),
        () => socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n'),
      )
    })
  }

  static async open(ground: Ground, options: Partial<AgentsOptions> & { port?: number } = {}): Promise<TestHub> {
    const { port = 0, ...rest } = options
    const hub = new TestHub(ground, rest)
    hub.agents.start()
    hub.#http.listen(port, '127.0.0.1')
    await once(hub.#http, 'listening')
    hub.port = (hub.#http.address() as AddressInfo).port
    return hub
  }

  /** Ends as a killed server does: sockets break, nothing is said. */
  async kill(): Promise<void> {
    for (const client of this.#sockets.clients) client.terminate()
    this.#http.closeAllConnections()
    const closed = once(this.#http, 'close')
    this.#http.close()
    await closed
    await this.agents.close()
  }
}

/** An address whose connections lead to one server, and after `lead` to another: as a load balancer does. */
export async function openDetour(
  port: number,
): Promise<{ port: number; lead(port: number): void; close(): Promise<void> }> {
  let target = port
  const open = new Set<Socket>()
  const server = createTcpServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket
        .on('error', () => {})
        .on('close', () => {
          open.delete(socket)
          client.destroy()
          upstream.destroy()
        })
    }
    client.pipe(upstream).pipe(client)
  })
  const cut = () => {
    for (const socket of open) socket.destroy()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    lead(next) {
      target = next
      cut()
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      cut()
      await closed
    },
  }
}

/** The real agent as a process. */
export class RealAgent {
  readonly dir = mkdtempSync(join(tmpdir(), 'wh-hub-agent-'))
  #child: ChildProcess | undefined
  log = ''

  start(port: number, token: string, env: Record<string, string> = {}): this {
    const main = fileURLToPath(new URL('../../../../agent/src/main.ts', import.meta.url))
    this.#child = spawn(process.execPath, [main], {
      cwd: this.dir,
      env: {
        PATH: process.env['PATH'],
        HOME: this.dir,
        WHEELHOUSE_AGENT_URL: `http://127.0.0.1:${port}`,
        WHEELHOUSE_AGENT_TOKEN: token,
        WHEELHOUSE_AGENT_DATA_DIR: this.dir,
        WHEELHOUSE_AGENT_LOG_PATHS: join(this.dir, 'app.log'),
        ...env,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child.stderr?.on('data', (data) => (this.log += String(data)))
    return this
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }

  async remove(): Promise<void> {
    await this.kill()
    rmSync(this.dir, { recursive: true, force: true })
  }
}

/** A peer that speaks the base protocol exactly as far as it is told to. */
export class BasePeer {
  readonly socket: WebSocket
  readonly messages: { type: string; session_id?: string; payload: Record<string, unknown> }[] = []
  closed: { code: number; reason: string } | undefined

  constructor(port: number, token: string, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/ws/agent`, {
      headers: { authorization: `Bearer ${token}`, ...headers },
    })
    this.socket.on('message', (data) => this.messages.push(JSON.parse(String(data)) as (typeof this.messages)[number]))
    this.socket.on('close', (code, reason) => (this.closed = { code, reason: String(reason) }))
    this.socket.on('error', () => {})
  }

  async open(): Promise<this> {
    await once(this.socket, 'open')
    return this
  }

  say(message: AgentMessage): void {
    this.socket.send(encodeMessage(message))
  }

  heartbeat(instance_id: string): void {
    this.say({ type: 'heartbeat', payload: { instance_id, timestamp: new Date().toISOString(), uptime_seconds: 1 } })
  }
}
