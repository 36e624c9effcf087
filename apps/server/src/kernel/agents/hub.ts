import { Fault } from '@wheelhouse/contract'
import type { AgentMessage, AgentPayload, HostProcess, InstalledPackage } from '@wheelhouse/sdk/agent-protocol'
import type { Logger } from 'pino'
import type { WebSocket } from 'ws'
import type { Bus } from '../bus/index.ts'
import { type Clock, ids } from '../clock/index.ts'
import { crashPoint } from '../crash/index.ts'
import type { Db } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'
import { type Agent, findAgent } from './agent.ts'
import { ask } from './ask.ts'
import { BaseExec } from './base-exec.ts'
import { Connection } from './connection.ts'
import { EXEC_TIMING, type ExecRequest, type ExecResult, type ExecTiming, runOnAgent } from './exec.ts'
import { introduce } from './introduce.ts'
import { openPresence, type Presence } from './presence.ts'
import type { AgentSink } from './sinks.ts'
import { openSwitchboard } from './switchboard.ts'
import { openTerminals, type Terminals } from './terminals.ts'

export interface AgentsOptions {
  db: Db
  clock: Clock
  log: Logger
  /** Absent where there is one replica and no bus. */
  bus?: Bus
  /** Intervals that agents are asked to keep; base agents keep their own. */
  heartbeatMs?: number
  metricsMs?: number
  detachedMs?: number
  execTiming?: Partial<ExecTiming>
}

/** The hub of all agents. */
export interface Agents {
  /** Takes over an agent's socket after its upgrade. `instanceHint`: the X-Instance-ID header, where there is one. */
  accept(socket: WebSocket, principal: Principal, facts?: { instanceHint?: string; remoteAddress?: string }): void
  /** Registers who wants to know what agents say; at start, before `start`. */
  tellTo(sink: AgentSink): void
  /** Whether some replica holds the agent's socket. */
  isConnected(agentId: string): Promise<boolean>
  /**
   * Runs one attempt of a command on an agent of the tenant, by whatever the agent can do, and answers when it has ended. The agent keeps
   * the result until `settled`. Throws RES_NOT_FOUND, AGENT_OFFLINE, SYS_UNAVAILABLE (agent full), RES_CONFLICT (attempt over elsewhere).
   */
  exec(request: ExecRequest): Promise<ExecResult>
  /** The outcome of a task is stored, or nobody wants it: its agent may forget it. */
  settled(agentId: string, taskId: string, attempt: number): void
  terminals: Terminals
  processes(
    tenantId: string,
    agentId: string,
    options?: { limit?: number; sort?: 'cpu' | 'memory' },
  ): Promise<{ at: string; total: number; processes: HostProcess[] }>
  inventory(tenantId: string, agentId: string): Promise<InstalledPackage[]>
  logFiles(tenantId: string, agentId: string): Promise<{ path: string; sizeBytes: number; modifiedAt: string }[]>
  /** Follows log files; their lines come to the sinks. */
  tail(agentId: string, paths: readonly string[], tailLines?: number): Promise<void>
  untail(agentId: string, paths: readonly string[]): void
  /** Ends the connection of an agent, wherever it is held: after its revocation. */
  disconnect(agentId: string): void
  presence: Presence
  start(): void
  /** Lets all sockets go (1001); agents come back to another replica. */
  close(): Promise<void>
}

const HEARTBEAT_MS = 15_000
const METRICS_MS = 15_000
const ASK_MS = 15_000
const INVENTORY_MS = 60_000

export function openAgents(options: AgentsOptions): Agents {
  const { db, clock, log, bus, heartbeatMs = HEARTBEAT_MS, metricsMs = METRICS_MS } = options
  const replica = ids.next()
  const timing = { ...EXEC_TIMING, ...options.execTiming }
  const sinks: AgentSink[] = []
  const switchboard = openSwitchboard({ bus, replica, log })
  const terminals = openTerminals(switchboard)
  const presence = openPresence({ db, clock, log, replica, sinks })
  const baseExec = new BaseExec(switchboard, terminals)
  const connections = new Set<Connection>()

  function bound(connection: Connection): void {
    const { agent, hello } = connection
    if (!agent) return
    switchboard.plug(connection)
    if (hello)
      connection.send({
        type: 'hello:ok',
        payload: { agent_id: agent.id, heartbeat_ms: heartbeatMs, metrics_ms: metricsMs },
      })
    // fleet.md 3.6: every agent is asked for all its logs as soon as it is there.
    connection.send({ type: 'log:subscribe', payload: { paths: ['*'] } })
    void clearUp(connection, hello?.tasks ?? [])
  }

  /** Results of ended tasks are acknowledged unread, and what still runs of them is ended. */
  async function clearUp(connection: Connection, tasks: AgentPayload<'hello'>['tasks']): Promise<void> {
    const { agent } = connection
    if (!agent || tasks.length === 0) return
    try {
      for (const sink of sinks) {
        const states = await sink.tasks?.(
          agent.tenantId,
          tasks.map(({ task_id }) => task_id),
        )
        for (const { task_id, attempt, state } of tasks) {
          if (states?.get(task_id) !== 'ended') continue
          if (state === 'finished') connection.send({ type: 'exec:ack', payload: { task_id, attempt } })
          else endUnwanted(connection, task_id, attempt)
        }
      }
    } catch (error) {
      log.warn({ err: error, agent: agent.id }, 'The tasks that an agent still holds could not be looked up')
    }
  }

  /** Asks for the result alone, so that it comes, finds nobody waiting, and is acknowledged. */
  function endUnwanted(connection: Connection, task_id: string, attempt: number): void {
    const nothing = { timeout_ms: 1, max_output_bytes: 0, after_seq: Number.MAX_SAFE_INTEGER }
    connection.send({ type: 'exec:start', payload: { task_id, attempt, ...nothing } })
    connection.send({ type: 'exec:cancel', payload: { task_id, attempt } })
  }

  function unclaimed(connection: Connection, message: AgentMessage): void {
    if (message.type !== 'exec:result') return
    const { task_id, attempt, last_seq } = message.payload
    void clearUp(connection, [{ task_id, attempt, last_seq, state: 'finished' }])
  }

  function telemetry(connection: Connection, message: AgentMessage): void | Promise<void> {
    const { agent } = connection
    if (!agent) return
    switch (message.type) {
      case 'heartbeat':
        beat(connection, agent, message.payload)
        return all(sinks.map((sink) => sink.heartbeat?.(agent, message.payload)))
      case 'metrics':
        return all(sinks.map((sink) => sink.metrics?.(agent, message.payload)))
      case 'log:batch':
        return all(sinks.map((sink) => sink.logs?.(agent, message.payload)))
      case 'log:line':
        return all(sinks.map((sink) => sink.logs?.(agent, { lines: [message.payload] })))
      case 'event':
        return all(sinks.map((sink) => sink.event?.(agent, message.payload)))
      case 'llm_usage:batch':
        return all(sinks.map((sink) => sink.usage?.(agent, message.payload)))
      default:
    }
  }

  function beat(
    connection: Connection,
    agent: Agent,
    { cpu_percent, memory_percent, disk_percent, running_tasks = [] }: AgentPayload<'heartbeat'>,
  ): void {
    const measured = Object.entries({
      cpuPercent: cpu_percent,
      memoryPercent: memory_percent,
      diskPercent: disk_percent,
    })
    presence.beat({
      tenantId: agent.tenantId,
      agentId: agent.id,
      connection: connection.id,
      heartbeatMs: connection.heartbeatMs,
      at: clock.now(),
      resources: Object.fromEntries(measured.filter((pair): pair is [string, number] => pair[1] !== undefined)),
      running: running_tasks.length,
    })
    connection.send({ type: 'heartbeat:pong', payload: { ok: true } })
  }

  /** The agent, if it is the tenant's and takes work. */
  async function usable(tenantId: string, agentId: string): Promise<Agent> {
    const agent = await db.tenant(tenantId, (tx) => findAgent(tx, agentId))
    if (!agent) throw new Fault('RES_NOT_FOUND', { kind: 'agent', id: agentId })
    if (agent.state !== 'active')
      throw new Fault('AGENT_OFFLINE', { agentId }, { message: 'The agent of this machine is set inactive' })
    return agent
  }

  async function able(tenantId: string, agentId: string, capability: string): Promise<void> {
    const { capabilities } = await usable(tenantId, agentId)
    if (!capabilities.includes(capability)) throw new Fault('AGENT_CAPABILITY_MISSING', { agentId, capability })
  }

  return {
    accept(socket, principal, facts = {}) {
      const connection = new Connection({
        socket,
        clock,
        log,
        ...facts,
        detachedMs: options.detachedMs,
        events: {
          introduce: (made, message) =>
            introduce({ db, clock, presence, sinks, heartbeatMs }, made, principal, message),
          bound,
          telemetry,
          forward: switchboard.forward,
          unclaimed,
          closed(gone) {
            connections.delete(gone)
            switchboard.unplug(gone)
          },
        },
      })
      connections.add(connection)
    },
    tellTo: (sink) => void sinks.push(sink),
    async isConnected(agentId) {
      try {
        await switchboard.call(agentId, {})
        return true
      } catch (error) {
        if (error instanceof Fault && error.code === 'AGENT_OFFLINE') return false
        throw error
      }
    },
    async exec(request) {
      const { capabilities } = await usable(request.tenantId, request.agentId)
      return capabilities.includes('exec') ? runOnAgent(switchboard, request, timing) : baseExec.run(request)
    },
    settled(agentId, task_id, attempt) {
      crashPoint('ack:before-send')
      switchboard.tell(agentId, { message: { type: 'exec:ack', payload: { task_id, attempt } } })
    },
    terminals,
    async processes(tenantId, agentId, wanted = {}) {
      await able(tenantId, agentId, 'processes')
      const parts = await ask(
        switchboard,
        agentId,
        { type: 'processes:list', payload: wanted },
        'processes:listed',
        ASK_MS,
      )
      return {
        at: parts[0]?.timestamp ?? '',
        total: parts[0]?.total ?? 0,
        processes: parts.flatMap((part) => part.processes),
      }
    },
    async inventory(tenantId, agentId) {
      await able(tenantId, agentId, 'inventory')
      const parts = await ask(switchboard, agentId, { type: 'inventory:list' }, 'inventory:listed', INVENTORY_MS)
      return parts.flatMap((part) => part.packages)
    },
    async logFiles(tenantId, agentId) {
      await able(tenantId, agentId, 'logs')
      const parts = await ask(switchboard, agentId, { type: 'logs:files' }, 'logs:listed', ASK_MS)
      return parts.flatMap((part) =>
        part.files.map((file) => ({ path: file.path, sizeBytes: file.size_bytes, modifiedAt: file.modified_at })),
      )
    },
    async tail(agentId, paths, tail_lines) {
      await switchboard.call(agentId, { message: { type: 'logs:tail', payload: { paths: [...paths], tail_lines } } })
    },
    untail: (agentId, paths) =>
      switchboard.tell(agentId, { message: { type: 'logs:untail', payload: { paths: [...paths] } } }),
    disconnect: switchboard.disconnect,
    presence,
    start() {
      switchboard.start()
      presence.start()
    },
    async close() {
      for (const connection of connections) connection.close(1001, 'server shutting down')
      switchboard.close()
      await presence.close()
    },
  }
}

function all(results: readonly (void | Promise<void>)[]): void | Promise<void> {
  const open = results.filter((result) => result !== undefined)
  return open.length === 0 ? undefined : Promise.all(open).then(() => undefined)
}
