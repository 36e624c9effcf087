import { Fault } from '@wheelhouse/contract'
import type { Log } from '@wheelhouse/contract/fleet/logs'
import type { WebSocket } from 'ws'
import { iso, pause } from '../../kernel/clock/index.ts'
import type { DomainEvent, LiveEvent } from '../../kernel/events/index.ts'
import { can, type Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { requireRan, runCommand } from '../commands/run.ts'
import type { CommandVerb } from '../commands/verb.ts'
import { findInstance, lastHeartbeats } from '../instances/tables.ts'
import { visibleInstances } from '../instances/visibility.ts'
import { LOG_TOPIC } from '../logs/store.ts'
import type { Sample } from '../metrics/sample.ts'
import { type Beat, HEARTBEAT_TOPIC, METRIC_TOPIC } from '../metrics/store.ts'
import { fleetStats } from '../overview/stats.ts'
import { STATUS_TOPIC } from '../telemetry/sink.ts'
import { SESSION_TOPIC } from '../terminals/tables.ts'
import { lifeOf } from './life.ts'
import { envelope, errorData, readFrame, type Received, send } from './message.ts'
import { openSight, type Sight } from './sight.ts'

/** The fleet's numbers are counted anew at most this often for one socket. */
const STATS_PAUSE_MS = 2_000

/** Sockets have no rate class: what one may ask for at a time is bounded instead. */
const MOST_RUNNING = 4

const isTexts = (value: unknown): value is string[] | undefined =>
  value === undefined || (Array.isArray(value) && value.length <= 64 && value.every((each) => typeof each === 'string'))
const isTextMap = (value: unknown): value is Record<string, string> | undefined =>
  value === undefined ||
  (typeof value === 'object' && value !== null && Object.values(value).every((each) => typeof each === 'string'))

/** Telemetry is the agents' to send (fleet.md §3.6, authorisation). */
const TELEMETRY = new Set([
  'metrics:update',
  'heartbeat:ping',
  'log:line',
  'log:batch',
  'event:instance',
  'llm_usage:batch',
])

/** Our events in the words of the socket (fleet.md §3.6, `event:instance`). */
const EVENT_WORDS: Readonly<Record<string, string>> = {
  'instance.registered': 'deploy',
  'instance.deregistered': 'destroy',
  'instance.connected': 'connect',
  'instance.heartbeat_lost': 'heartbeat:lost',
  'instance.heartbeat_recovered': 'heartbeat:recovered',
}

/**
 * Serves one console on `/ws` (fleet.md §3.6): pushes the state of the fleet unasked, and the telemetry of instances that it subscribes to.
 * Nothing of an instance that the caller may not see is sent.
 */
export async function openHub(
  kernel: Kernel,
  verb: CommandVerb,
  principal: Principal,
): Promise<(socket: WebSocket) => void> {
  const { db, clock } = kernel
  const sight = await openSight(db, clock, principal)
  return (socket) => new HubSocket(kernel, verb, principal, sight, socket).open()
}

class HubSocket {
  readonly #kernel: Kernel
  readonly #verb: CommandVerb
  readonly #principal: Principal
  readonly #sight: Sight
  readonly #socket: WebSocket
  /** Instances that were subscribed to. */
  readonly #subscribed = new Set<string>()
  /** Files whose lines alone are wanted, by instance; absent: all. */
  readonly #paths = new Map<string, ReadonlySet<string>>()
  #stale = false
  #counting = false

  /** Commands of this socket that run now. */
  #running = 0

  constructor(kernel: Kernel, verb: CommandVerb, principal: Principal, sight: Sight, socket: WebSocket) {
    this.#kernel = kernel
    this.#verb = verb
    this.#principal = principal
    this.#sight = sight
    this.#socket = socket
  }

  open(): void {
    const { feed, events, clock, log } = this.#kernel
    const { tenantId } = this.#principal
    const topics = [STATUS_TOPIC, HEARTBEAT_TOPIC, METRIC_TOPIC, LOG_TOPIC, SESSION_TOPIC]
    const leave = feed.subscribeLive(tenantId, topics, (event) => this.#live(event))
    const unfollow = events.follow(tenantId, (event) => this.#happened(event))
    const life = lifeOf(this.#socket, this.#principal, clock)
    this.#socket.once('close', () => {
      leave()
      unfollow()
    })
    this.#socket.on('message', (raw: Buffer) => {
      this.#receive(raw).catch((error: unknown) => log.error({ err: error }, 'A message of a console failed'))
    })
    this.#life = life
    this.#changed()
  }

  #life: AbortSignal | undefined

  #live({ topic, data }: LiveEvent): void {
    const socket = this.#socket
    const now = this.#kernel.clock.now()
    switch (topic) {
      case STATUS_TOPIC: {
        const update = data as { instanceId: string; status: string; updatedAt: string }
        if (!this.#sight.sees(update.instanceId)) return
        send(socket, { type: 'instance_update', payload: update })
        return this.#changed()
      }
      case SESSION_TOPIC:
        send(socket, { type: 'session_count', payload: data })
        return this.#changed()
      case HEARTBEAT_TOPIC: {
        const beat = data as Beat
        if (this.#sight.sees(beat.instanceId)) void this.#heartbeat(beat)
        return
      }
      case METRIC_TOPIC: {
        const sample = data as Sample
        if (this.#hears(sample.instanceId))
          send(socket, envelope(now, 'metrics', 'metrics:update', update(sample), { instanceId: sample.instanceId }))
        return
      }
      default:
        for (const line of data as Log[]) this.#line(line, now)
    }
  }

  #line(line: Log, now: number): void {
    if (!this.#hears(line.instanceId)) return
    const paths = this.#paths.get(line.instanceId)
    const path = line.metadata?.['path']
    if (paths && !(typeof path === 'string' && paths.has(path))) return
    const data = {
      level: line.level.toLowerCase(),
      message: line.message,
      source: line.source.toLowerCase(),
      ts: Date.parse(line.timestamp),
      metadata: line.metadata,
      deploymentId: line.deploymentId,
      ...(typeof path === 'string' ? { path } : {}),
    }
    send(this.#socket, envelope(now, 'logs', 'log:line', data, { instanceId: line.instanceId }))
  }

  #happened(event: DomainEvent): void {
    const eventType = EVENT_WORDS[event.type]
    const { id } = event.resource
    if (eventType === undefined || !this.#sight.sees(id)) return
    if (eventType === 'deploy' || eventType === 'destroy') {
      if (event.data['status'] !== undefined)
        send(this.#socket, {
          type: 'instance_update',
          payload: { instanceId: id, status: event.data['status'], updatedAt: iso(event.at) },
        })
      this.#changed()
    }
    if (this.#subscribed.has(id))
      send(
        this.#socket,
        envelope(event.at, 'events', 'event:instance', { eventType, metadata: event.data }, { instanceId: id }),
      )
  }

  /** A heartbeat as the detail of an instance shows it, with the resources of its newest sample. */
  async #heartbeat({ instanceId }: Beat): Promise<void> {
    const { db, clock, log } = this.#kernel
    try {
      const found = await db.tenant(this.#principal.tenantId, (tx) => lastHeartbeats(tx, clock.now(), [instanceId]))
      const beat = found.get(instanceId)
      if (!beat) return
      send(this.#socket, { type: 'heartbeat', payload: { instanceId, ...beat } })
      if (this.#subscribed.has(instanceId))
        send(this.#socket, envelope(clock.now(), 'heartbeat', 'heartbeat:pong', beat, { instanceId }))
    } catch (error) {
      log.debug({ err: error }, 'A heartbeat could not be pushed')
    }
  }

  #hears(instanceId: string): boolean {
    return this.#subscribed.has(instanceId) && this.#sight.sees(instanceId)
  }

  #changed(): void {
    const life = this.#life
    this.#stale = true
    if (this.#counting || !life) return
    this.#count(life).catch((error: unknown) => {
      // A pause that ends with the socket is no failure.
      if (!life.aborted) this.#kernel.log.warn({ err: error }, 'The numbers of the fleet could not be sent')
    })
  }

  /** Sends the fleet's numbers, and once more after a pause when they have changed meanwhile. */
  async #count(life: AbortSignal): Promise<void> {
    const { db, clock } = this.#kernel
    this.#counting = true
    try {
      do {
        this.#stale = false
        const stats = await db.tenant(this.#principal.tenantId, (tx) =>
          fleetStats(tx, clock.now(), visibleInstances(this.#principal)),
        )
        send(this.#socket, { type: 'fleet_stats', payload: stats })
        await pause(STATS_PAUSE_MS, life)
      } while (this.#stale)
    } finally {
      this.#counting = false
    }
  }

  async #receive(raw: Buffer): Promise<void> {
    const { clock } = this.#kernel
    const message = readFrame(raw)
    const answer = (type: string, data: unknown) =>
      send(
        this.#socket,
        envelope(clock.now(), message?.channel ?? 'system', type, data, {
          instanceId: message?.instanceId,
          correlationId: message?.correlationId,
        }),
      )
    if (!message?.type) return answer('error', { code: 'PARSE_ERROR', message: 'The message is no envelope' })
    try {
      if (message.type === 'command:exec') return answer('command:result', await this.#execute(message))
      await this.#handle(message.type, message)
      answer('ack', { ok: true })
    } catch (error) {
      answer('error', errorData(error))
    }
  }

  async #handle(type: string, message: Received): Promise<void> {
    if (TELEMETRY.has(type)) throw new Fault('PERM_DENIED', {}, { message: 'Telemetry is taken from agents alone' })
    switch (type) {
      case 'subscribe':
        return this.#subscribe(message)
      case 'unsubscribe': {
        const id = named(message)
        this.#subscribed.delete(id)
        this.#paths.delete(id)
        return
      }
      case 'log:subscribe': {
        if (!can(this.#principal, 'log:read')) throw new Fault('PERM_DENIED')
        await this.#subscribe(message)
        const paths = message.data['paths']
        const wanted = Array.isArray(paths) ? paths.filter((path) => typeof path === 'string') : ['*']
        if (wanted.includes('*')) this.#paths.delete(named(message))
        else this.#paths.set(named(message), new Set(wanted))
        return
      }
      case 'log:unsubscribe':
        this.#paths.set(named(message), new Set())
        return
      default:
        throw new Fault('RES_ROUTE_NOT_FOUND', {}, { message: `There is no message type '${type}'` })
    }
  }

  /** The same governed job as `POST /commands`; policy decides, and the row is in the history. */
  async #execute(message: Received) {
    const { command, args, env, timeout } = message.data
    if (!can(this.#principal, 'command:execute')) throw new Fault('PERM_DENIED')
    if (this.#running >= MOST_RUNNING)
      throw new Fault('SYS_UNAVAILABLE', {}, { message: `At most ${MOST_RUNNING} commands run on one socket` })
    if (typeof command !== 'string' || !isTexts(args) || !isTextMap(env))
      throw new Fault('VAL_SCHEMA', {}, { message: 'command is text, args a list and env a map of texts' })
    const timeoutMs = typeof timeout === 'number' ? Math.min(Math.max(Math.round(timeout), 1000), 300_000) : 30_000
    this.#running++
    try {
      const ran = await runCommand(
        this.#kernel,
        this.#verb,
        this.#principal,
        { instanceId: named(message), command, args, env, timeoutMs },
        { reach: 1, ...(this.#life ? { signal: this.#life } : {}) },
      )
      requireRan(ran)
      const { id, status, exitCode, stdout, stderr, durationMs } = ran.execution
      return { executionId: id, status, exitCode, stdout, stderr, durationMs }
    } finally {
      this.#running--
    }
  }

  async #subscribe(message: Received): Promise<void> {
    const id = named(message)
    await this.#kernel.db.tenant(this.#principal.tenantId, (tx) => findInstance(tx, this.#principal, id))
    this.#subscribed.add(id)
  }
}

/** The instance that a message is about: on top or in its data (fleet.md §3.6 documents both). */
function named({ instanceId, data }: Received): string {
  const inner = data['instanceId']
  const id = instanceId ?? (typeof inner === 'string' ? inner : undefined)
  if (id === undefined) throw new Fault('RES_NOT_FOUND', {}, { message: 'The message names no instance' })
  return id
}

/** A sample in the words of the socket. */
const update = (sample: Sample) => ({
  cpuPercent: sample.cpuPercent,
  memoryUsed: sample.memUsed,
  memoryTotal: sample.memTotal,
  diskUsed: sample.diskUsed,
  diskTotal: sample.diskTotal,
  uptime: sample.uptimeSeconds ?? 0,
  loadAvg: [sample.loadAvg1 ?? 0, sample.loadAvg5 ?? 0, sample.loadAvg15 ?? 0],
  networkBytesIn: sample.netBytesRecv ?? 0,
  networkBytesOut: sample.netBytesSent ?? 0,
  processCount: sample.processCount ?? 0,
})
