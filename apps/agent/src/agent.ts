import { randomUUID } from 'node:crypto'
import { decodeServerMessage, encodeMessage, AGENT_FRAME_BYTES, ProtocolError } from '@wheelhouse/sdk/agent-protocol'
import type { AgentCapability, AgentMessage, AgentPayload, ServerMessage } from '@wheelhouse/sdk/agent-protocol'
import { inFrames } from './chunks.ts'
import { Commands } from './commands.ts'
import type { AgentConfig } from './config.ts'
import { readHost } from './host.ts'
import type { Host } from './host.ts'
import { readInventory } from './inventory.ts'
import { Link } from './link.ts'
import { listLogFiles } from './log-files.ts'
import { messageOf } from './log.ts'
import type { Log } from './log.ts'
import { MetricsSampler } from './metrics.ts'
import type { Metrics } from './metrics.ts'
import { hasProc } from './proc.ts'
import { listProcesses } from './processes.ts'
import { register } from './register.ts'
import { Tailer } from './tail.ts'
import { Tasks } from './tasks.ts'
import { loadPty, Terminals } from './terminals.ts'

type Handlers = { [T in ServerMessage['type']]: (message: Extract<ServerMessage, { type: T }>) => void | Promise<void> }

const PRUNE_MS = 3_600_000

/** The agent of one host: keeps the connection, does what the server asks, tells how the host fares. */
export class Agent {
  readonly #config: AgentConfig
  readonly #version: string
  readonly #log: Log
  readonly #host: Host
  readonly #bootId = randomUUID()
  readonly #startedAt = performance.now()
  readonly #link: Link
  readonly #tasks: Tasks
  readonly #commands: Commands
  readonly #tailer: Tailer
  readonly #terminals?: Terminals
  readonly #sampler = new MetricsSampler()
  readonly #handlers: Handlers
  readonly #timers: Partial<Record<'heartbeat' | 'metrics' | 'prune', NodeJS.Timeout>> = {}
  readonly #stopping = new AbortController()
  #lastMetrics?: Metrics

  private constructor(
    config: AgentConfig,
    version: string,
    log: Log,
    host: Host,
    pty: Awaited<ReturnType<typeof loadPty>>,
  ) {
    this.#config = config
    this.#version = version
    this.#log = log
    this.#host = host
    const { dataDir, shell, maxTasks } = config
    this.#link = new Link({
      url: config.url,
      token: config.token,
      version,
      log,
      onOpen: () => void this.#greet(),
      onFrame: (frame) => void this.#receive(frame),
      onClose: () => this.#disconnected(),
    })
    this.#tasks = new Tasks({ dataDir, shell, maxTasks, log, send: (frame) => this.#link.send(frame) })
    this.#commands = new Commands(
      shell,
      () => !this.#tasks.isFull() && this.#commands.count < maxTasks,
      (payload) => void this.#send({ type: 'command:result', payload }),
    )
    this.#tailer = new Tailer({ dataDir, log, send: (path, lines) => this.#sendLines(path, lines) })
    if (pty) this.#terminals = new Terminals({ pty, shell, log, send: (message) => this.#send(message) })
    this.#handlers = this.#createHandlers()
  }

  /** Starts an agent. Settles once earlier tasks are cleared up and the first connection is under way; connecting itself never gives up. */
  static async start(config: AgentConfig, version: string, log: Log): Promise<Agent> {
    const agent = new Agent(config, version, log, await readHost(), await loadPty(log))
    await agent.#tasks.recover()
    await agent.#sampler.prime()
    agent.#tailer.start()
    agent.#timers.prune = setInterval(() => agent.#tasks.prune(), PRUNE_MS)
    agent.#repeat('heartbeat', config.heartbeatMs)
    agent.#repeat('metrics', config.metricsMs)
    void register(config, agent.#host, version, log, agent.#stopping.signal).then(() => agent.#link.start())
    return agent
  }

  /** Ends tasks and terminals, leaves their results on disk for the next start, and closes the connection with 1000. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const timer of Object.values(this.#timers)) clearInterval(timer)
    await Promise.all([this.#tasks.stop(), this.#commands.stop()])
    this.#terminals?.stop()
    await this.#tailer.stop()
    await this.#link.stop()
  }

  #createHandlers(): Handlers {
    const terminalOf = (message: ServerMessage) => {
      const payload = message.payload as { session_id?: string }
      return payload.session_id ?? message.session_id ?? ''
    }
    const tail = (paths: readonly string[], lines?: number) => {
      this.#tailer.follow(paths.includes('*') ? this.#config.logPaths : paths, lines)
    }
    const untail = (paths: readonly string[]) => this.#tailer.unfollow(paths.includes('*') ? [] : paths)
    return {
      'hello:ok': ({ payload }) => {
        this.#link.confirm()
        this.#repeat('heartbeat', payload.heartbeat_ms ?? this.#config.heartbeatMs)
        this.#repeat('metrics', payload.metrics_ms ?? this.#config.metricsMs)
        this.#log.info('accepted', { agent: payload.agent_id })
        return this.#sendMetrics()
      },
      'heartbeat:pong': () => this.#link.confirm(),
      'exec:start': ({ payload }) => this.#tasks.start(payload),
      'exec:cancel': ({ payload }) => this.#tasks.cancel(payload),
      'exec:ack': ({ payload }) => this.#tasks.acknowledge(payload),
      'command:dispatch': ({ payload }) => this.#commands.dispatch(payload),
      'terminal:create': async (message) => {
        const id = terminalOf(message)
        if (this.#terminals && id) return this.#terminals.create(id, message.payload)
        const payload = { session_id: id, message: 'no terminals on this host' }
        await this.#send({ type: 'terminal:error', session_id: id, payload })
      },
      'terminal:input': (message) =>
        this.#terminals?.input(terminalOf(message), Buffer.from(message.payload.data, 'base64')),
      'terminal:resize': (message) =>
        this.#terminals?.resize(terminalOf(message), message.payload.cols, message.payload.rows),
      'terminal:close': (message) => this.#terminals?.close(terminalOf(message)),
      'processes:list': ({ payload }) => this.#answer(payload.request_id, () => this.#listProcesses(payload)),
      'inventory:list': ({ payload }) =>
        this.#answer(payload.request_id, () => this.#listInventory(payload.request_id)),
      'logs:files': ({ payload }) => this.#answer(payload.request_id, () => this.#listLogFiles(payload.request_id)),
      'logs:tail': ({ payload }) => tail(payload.paths, payload.tail_lines),
      'logs:untail': ({ payload }) => untail(payload.paths),
      'log:subscribe': ({ payload }) => tail(payload.paths),
      'log:unsubscribe': ({ payload }) => untail(payload.paths),
    }
  }

  async #greet(): Promise<void> {
    await this.#send({ type: 'hello', payload: this.#hello() })
    await this.#sendHeartbeat()
    this.#terminals?.connected()
  }

  #hello(): AgentPayload<'hello'> {
    const { instanceId, name, labels, provider, region, maxTasks } = this.#config
    const host = this.#host
    const capabilities: AgentCapability[] = ['exec', 'command', 'metrics', 'inventory', 'logs']
    if (this.#terminals) capabilities.push('terminal')
    if (hasProc) capabilities.push('processes')
    return {
      instance_id: instanceId,
      boot_id: this.#bootId,
      agent_version: this.#version,
      name,
      capabilities,
      labels,
      host: {
        hostname: host.hostname,
        os: host.os,
        arch: host.arch,
        distro: host.distro,
        distro_version: host.distroVersion,
        kernel: host.kernel,
        cpu_model: host.cpuModel,
        cpu_count: host.cpuCount,
        memory_total_bytes: host.memoryTotalBytes,
        provider,
        region,
        booted_at: host.bootedAt,
        user: host.user,
      },
      tasks: this.#tasks.unacknowledged(),
      terminals: this.#terminals?.ids() ?? [],
      max_tasks: maxTasks,
      max_frame_bytes: AGENT_FRAME_BYTES,
    }
  }

  #disconnected(): void {
    this.#tasks.detach()
    this.#terminals?.disconnected()
  }

  async #receive(frame: string): Promise<void> {
    try {
      const message = decodeServerMessage(frame)
      const handle = this.#handlers[message.type] as (message: ServerMessage) => void | Promise<void>
      await handle(message)
    } catch (error) {
      // Other servers send more than we know (fleet.md 3.16): unknown types are no reason to leave.
      const level = error instanceof ProtocolError && error.code === 'UNKNOWN_MESSAGE_TYPE' ? 'debug' : 'warn'
      this.#log[level]('ignored a message', { error: messageOf(error) })
    }
  }

  #send(message: AgentMessage): Promise<boolean> {
    return this.#link.send(encodeMessage(message))
  }

  #repeat(what: 'heartbeat' | 'metrics', everyMs: number): void {
    clearInterval(this.#timers[what])
    this.#timers[what] = setInterval(
      () => void (what === 'heartbeat' ? this.#sendHeartbeat() : this.#sendMetrics()),
      everyMs,
    )
  }

  async #sendHeartbeat(): Promise<void> {
    const metrics = this.#lastMetrics
    const root = metrics?.disk?.[0]
    await this.#send({
      type: 'heartbeat',
      payload: {
        instance_id: this.#config.instanceId,
        timestamp: new Date().toISOString(),
        uptime_seconds: Math.floor((performance.now() - this.#startedAt) / 1000),
        ...(metrics && { cpu_percent: metrics.cpu.usage_percent, memory_percent: metrics.memory.usage_percent }),
        ...(root && { disk_percent: root.usage_percent }),
        running_tasks: this.#tasks.running(),
      },
    })
  }

  async #sendMetrics(): Promise<void> {
    if (!this.#link.isOpen) return
    try {
      this.#lastMetrics = await this.#sampler.sample()
      await this.#send({ type: 'metrics', payload: { instance_id: this.#config.instanceId, ...this.#lastMetrics } })
    } catch (error) {
      this.#log.warn('cannot measure the host', { error: messageOf(error) })
    }
  }

  async #sendLines(path: string, lines: AgentPayload<'log:batch'>['lines']): Promise<boolean> {
    for (const part of inFrames(lines)) {
      if (!(await this.#send({ type: 'log:batch', payload: { path, lines: part } }))) return false
    }
    return true
  }

  async #answer(requestId: string, answer: () => Promise<void>): Promise<void> {
    try {
      await answer()
    } catch (error) {
      await this.#send({ type: 'request:failed', payload: { request_id: requestId, message: messageOf(error) } })
    }
  }

  async #listProcesses({
    request_id,
    limit,
    sort,
  }: Extract<ServerMessage, { type: 'processes:list' }>['payload']): Promise<void> {
    if (!hasProc) throw new Error('this host has no /proc')
    const { total, processes } = await listProcesses({ limit, sort })
    await this.#sendParts(inFrames(processes), (part, last) => {
      return {
        type: 'processes:listed',
        payload: { request_id, timestamp: new Date().toISOString(), total, last, processes: part },
      }
    })
  }

  async #listInventory(request_id: string): Promise<void> {
    const packages = await readInventory()
    await this.#sendParts(inFrames(packages), (part, last) => {
      return {
        type: 'inventory:listed',
        payload: { request_id, timestamp: new Date().toISOString(), last, packages: part },
      }
    })
  }

  async #listLogFiles(request_id: string): Promise<void> {
    const files = await listLogFiles(this.#config.logPaths)
    await this.#sendParts(inFrames(files), (part, last) => ({
      type: 'logs:listed',
      payload: { request_id, last, files: part },
    }))
  }

  async #sendParts<T>(parts: T[][], message: (part: T[], last: boolean) => AgentMessage): Promise<void> {
    for (const [index, part] of parts.entries()) await this.#send(message(part, index === parts.length - 1))
  }
}
