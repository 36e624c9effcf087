import {
  type AgentMessage,
  type AgentPayload,
  BASE_FRAME_BYTES,
  encodeMessage,
  ProtocolError,
  type ServerMessage,
} from '@wheelhouse/sdk/agent-protocol'
import type { Logger } from 'pino'
import type { WebSocket } from 'ws'
import { type Clock, ids } from '../clock/index.ts'
import type { Agent } from './agent.ts'
import { readAgentFrame } from './native-dialect.ts'
import { Screens } from './screens.ts'
import { type Answer, type Control, terminalTopic, type Topic, topicOf } from './topics.ts'

export interface ConnectionEvents {
  /** The agent has said who it is. Called once; messages wait until it settles, and the connection ends when it throws. */
  introduce(connection: Connection, message: AgentMessage): Promise<void>
  /** From here on the connection takes orders. */
  bound(connection: Connection): void
  /** Telemetry and heartbeats of a bound agent. */
  telemetry(connection: Connection, message: AgentMessage): void | Promise<void>
  /** A message for those who wait for its topic on this or another replica. */
  forward(watcher: string, agentId: string, topic: Topic, message: AgentMessage): void
  /** A message about something that nobody waits for. */
  unclaimed(connection: Connection, message: AgentMessage): void
  closed(connection: Connection): void
}

export interface ConnectionOptions {
  socket: WebSocket
  clock: Clock
  log: Logger
  instanceHint?: string
  remoteAddress?: string
  /** How long a socket may stay open without saying whose it is. */
  introductionMs?: number
  detachedMs?: number
  events: ConnectionEvents
}

/** Messages before the introduction that are kept (fleet.md 3.16: hold unbound frames briefly). */
const HELD_MESSAGES = 64
/** Reference agents say their first word after up to one heartbeat interval. */
const INTRODUCTION_MS = 120_000
const MOST_OPEN_SINKS = 32
const MOST_COMPLAINTS = 20

/** One agent's socket, on the replica that holds it. */
export class Connection {
  readonly id = ids.next()
  readonly remoteAddress: string | undefined
  readonly instanceHint: string | undefined
  agent?: Agent
  hello?: AgentPayload<'hello'>
  heartbeatMs = 30_000
  readonly screens: Screens
  readonly #options: ConnectionOptions
  readonly #socket: WebSocket
  readonly #watchers = new Map<Topic, Set<string>>()
  #state: 'new' | 'introducing' | 'bound' | 'closed' = 'new'
  #held: AgentMessage[] = []
  #openSinks = 0
  #complaints = 0

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#socket = options.socket
    this.remoteAddress = options.remoteAddress
    this.instanceHint = options.instanceHint
    this.screens = new Screens((sessionId) => this.#expire(sessionId), options.detachedMs)
    const silent = setTimeout(() => this.close(1008, 'no introduction'), options.introductionMs ?? INTRODUCTION_MS)
    silent.unref()
    this.#socket.on('message', (data: Buffer, binary: boolean) => {
      if (!binary) this.#read(data.toString('utf8'))
    })
    this.#socket.on('close', () => {
      clearTimeout(silent)
      const wasOpen = this.#state !== 'closed'
      this.#state = 'closed'
      this.screens.clear()
      if (wasOpen) options.events.closed(this)
    })
  }

  get isBound(): boolean {
    return this.#state === 'bound'
  }

  /** Sends one message; false when the socket is not open. Throws when it does not fit into the agent's frames. */
  send(message: ServerMessage): boolean {
    if (this.#socket.readyState !== this.#socket.OPEN) return false
    const frame = encodeMessage(message)
    const most = this.hello?.max_frame_bytes ?? BASE_FRAME_BYTES
    // A base agent leaves on a larger frame (fleet.md 3.16); ours would, too.
    if (Buffer.byteLength(frame) >= most)
      throw new RangeError(
        `a message of ${Buffer.byteLength(frame)} bytes does not fit into the agent's frames of ${most}`,
      )
    this.#socket.send(frame)
    return true
  }

  /** Does what a replica (this one too) wants of this agent. */
  control({ from, watch, unwatch, message }: Control): Answer {
    if (this.#state !== 'bound') return { ok: false, reason: 'offline' }
    let answer: Answer = { ok: true }
    if (watch) {
      this.#watch(watch, from)
      const session = sessionOf(watch)
      if (session !== undefined)
        answer = { ok: true, known: this.screens.has(session), replay: this.screens.replay(session).toString('base64') }
    }
    if (unwatch) this.#unwatch(unwatch, from)
    if (message?.type === 'terminal:create' && message.session_id !== undefined) {
      this.screens.add(message.session_id)
      this.screens.watched(message.session_id, true)
    }
    try {
      if (message && !this.send(message)) return { ok: false, reason: 'offline' }
    } catch (error) {
      this.#options.log.warn({ err: error, agent: this.agent?.id }, 'A message could not be sent to an agent')
      return { ok: false, reason: 'broken' }
    }
    return answer
  }

  /** The replicas that wait for something here, and forgetting one that is gone. */
  watchingReplicas(): Set<string> {
    return new Set([...this.#watchers.values()].flatMap((watchers) => [...watchers].map(replicaOf)))
  }

  forgetReplica(replica: string): void {
    for (const [topic, watchers] of this.#watchers) {
      for (const watcher of watchers) if (replicaOf(watcher) === replica) this.#unwatch(topic, watcher)
    }
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason)
    // A peer that is gone never answers the close.
    setTimeout(() => this.#socket.terminate(), 2_000).unref()
  }

  #read(frame: string): void {
    let message: AgentMessage
    try {
      message = readAgentFrame(frame, this.#options.clock.now(), this.instanceHint)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#complain(error)
      return
    }
    if (this.#state === 'bound') this.#handle(message)
    else if (this.#state === 'introducing' || !isIntroduction(message)) this.#hold(message)
    else void this.#introduce(message)
  }

  async #introduce(message: AgentMessage): Promise<void> {
    this.#state = 'introducing'
    try {
      await this.#options.events.introduce(this, message)
    } catch (error) {
      this.#options.log.warn({ err: error }, 'An agent was not accepted')
      this.close(
        error instanceof IntroductionRefused ? 1008 : 1011,
        error instanceof IntroductionRefused ? error.message : 'try again',
      )
      return
    }
    // It may have hung up meanwhile.
    if (this.#socket.readyState !== this.#socket.OPEN) return
    this.#state = 'bound'
    for (const session of this.hello?.terminals ?? []) this.screens.add(session)
    this.#options.events.bound(this)
    const held = this.#held
    this.#held = []
    this.#handle(message)
    for (const each of held) this.#handle(each)
  }

  #hold(message: AgentMessage): void {
    if (this.#held.length < HELD_MESSAGES) this.#held.push(message)
  }

  #handle(message: AgentMessage): void {
    const topic = topicOf(message)
    if (topic === undefined) return this.#tell(message)
    const session = sessionOf(topic)
    if (session !== undefined && message.type === 'terminal:output') {
      // A base agent does not say which terminals it still has after a restart of ours.
      this.screens.add(session)
      this.screens.write(session, Buffer.from(message.payload.data, 'base64'))
    }
    const watchers = this.#watchers.get(topic)
    if (!watchers?.size) this.#options.events.unclaimed(this, message)
    else for (const watcher of watchers) this.#options.events.forward(watcher, this.agent?.id ?? '', topic, message)
    if (session !== undefined && (message.type === 'terminal:closed' || message.type === 'terminal:error')) {
      this.screens.remove(session)
      this.#watchers.delete(topic)
    }
  }

  #tell(message: AgentMessage): void {
    const open = this.#options.events.telemetry(this, message)
    if (!open) return
    this.#openSinks++
    if (this.#openSinks === MOST_OPEN_SINKS) this.#socket.pause()
    void this.#settle(open)
  }

  async #settle(open: Promise<void>): Promise<void> {
    try {
      await open
    } catch (error) {
      this.#options.log.error({ err: error, agent: this.agent?.id }, 'What an agent said could not be taken in')
    } finally {
      this.#openSinks--
      if (this.#openSinks === MOST_OPEN_SINKS / 2) this.#socket.resume()
    }
  }

  #watch(topic: Topic, watcher: string): void {
    const watchers = this.#watchers.get(topic) ?? new Set()
    this.#watchers.set(topic, watchers.add(watcher))
    const session = sessionOf(topic)
    if (session !== undefined) this.screens.watched(session, true)
  }

  #unwatch(topic: Topic, watcher: string): void {
    const watchers = this.#watchers.get(topic)
    if (!watchers?.delete(watcher) || watchers.size > 0) return
    this.#watchers.delete(topic)
    const session = sessionOf(topic)
    if (session !== undefined) this.screens.watched(session, false)
  }

  #expire(sessionId: string): void {
    this.screens.remove(sessionId)
    this.send({
      type: 'terminal:close',
      session_id: sessionId,
      payload: { session_id: sessionId, reason: 'nobody attached' },
    })
  }

  // A peer that talks nonsense must not fill the log.
  #complain(error: ProtocolError): void {
    const { log } = this.#options
    this.#complaints++
    if (this.#complaints <= MOST_COMPLAINTS)
      log.info({ code: error.code, agent: this.agent?.id, problem: error.message }, 'A frame of an agent was ignored')
  }
}

/** The agent may not be whom it says it is; the text goes to the agent. */
export class IntroductionRefused extends Error {
  override readonly name = 'IntroductionRefused'
}

const INTRODUCTIONS: readonly AgentMessage['type'][] = ['hello', 'heartbeat', 'metrics', 'registration']
const isIntroduction = ({ type }: AgentMessage): boolean => INTRODUCTIONS.includes(type)

const replicaOf = (watcher: string): string => watcher.split('/', 1)[0] ?? watcher

function sessionOf(topic: Topic): string | undefined {
  const prefix = terminalTopic('')
  return topic.startsWith(prefix) ? topic.slice(prefix.length) : undefined
}
