import { Fault } from '@wheelhouse/contract'
import type { AgentMessage } from '@wheelhouse/sdk/agent-protocol'
import type { Logger } from 'pino'
import type { Bus, Listening } from '../bus/index.ts'
import type { Connection } from './connection.ts'
import type { Answer, Control, Topic } from './topics.ts'

export type Listener = (message: AgentMessage) => void

/** Brings whoever waits for an agent and the replica that holds its socket together. Without a bus there is one replica. */
export interface Switchboard {
  /** Takes a socket into this replica's care; other replicas that hold an older one of the same agent let it go. */
  plug(connection: Connection): void
  unplug(connection: Connection): void
  held(agentId: string): Connection | undefined
  /** Asks the holder. Throws AGENT_OFFLINE when nobody holds the agent. */
  call(agentId: string, control: Wish): Promise<Extract<Answer, { ok: true }>>
  /** The same, for whoever does not mind. */
  tell(agentId: string, control: Wish): void
  /**
   * Hears an agent's messages on a topic. The listener must also be announced to the holder, by `call` with `watch`. With a seat of its
   * own it hears exactly what comes after that call; without one it may hear what others on this replica asked for.
   */
  listen(agentId: string, topic: Topic, listener: Listener, seat?: string): () => void
  /** Hears that an agent is connected anew, on any replica. It may be missed; who waits also looks from time to time. */
  onConnected(agentId: string, heard: () => void): () => void
  /** Gives a message that this replica's holder got to those who wait (`from` of their call). */
  forward(to: string, agentId: string, topic: Topic, message: AgentMessage): void
  /** Ends an agent's socket, wherever it is held. */
  disconnect(agentId: string): void
  start(): void
  close(): void
}

const CALL_MS = 5_000
const PROBE_EVERY_MS = 30_000
const PROBE_MS = 2_000

type Wish = Omit<Control, 'from'> & { seat?: string }

interface Forwarded {
  agentId: string
  seat?: string
  topic: Topic
  message: AgentMessage
}

const encode = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))
const decode = (data: Uint8Array): unknown => JSON.parse(Buffer.from(data).toString('utf8'))

export function openSwitchboard({
  bus,
  replica,
  log,
}: {
  bus: Bus | undefined
  replica: string
  log: Logger
}): Switchboard {
  const held = new Map<string, { connection: Connection; listening?: Listening }>()
  const listeners = new Map<string, Set<Listener>>()
  const connected = new Map<string, Set<() => void>>()
  const open: Listening[] = []
  let probe: NodeJS.Timeout | undefined

  const subjectOf = (name: string) => `wh.hub.${name}`

  const listenerKey = (agentId: string, topic: Topic, seat = '') => `${agentId} ${seat} ${topic}`

  function dispatch({ agentId, topic, seat, message }: Forwarded): void {
    for (const listener of listeners.get(listenerKey(agentId, topic, seat)) ?? []) listener(message)
  }

  function announce(agentId: string): void {
    for (const heard of connected.get(agentId) ?? []) heard()
  }

  /** An older socket of this agent here gives way to one that is elsewhere. */
  function giveWay({ agentId, connection }: { agentId: string; connection: string }): void {
    const mine = held.get(agentId)
    if (!mine || mine.connection.id === connection) return
    mine.listening?.close()
    held.delete(agentId)
    mine.connection.close(1001, 'replaced by a new connection')
  }

  function drop(agentId: string): void {
    held.get(agentId)?.connection.close(1008, 'revoked')
  }

  async function probeReplicas(): Promise<void> {
    const replicas = new Set([...held.values()].flatMap(({ connection }) => [...connection.watchingReplicas()]))
    replicas.delete(replica)
    for (const other of replicas) {
      try {
        await bus?.request(subjectOf(other), encode('probe'), { timeoutMs: PROBE_MS })
      } catch {
        for (const { connection } of held.values()) connection.forgetReplica(other)
      }
    }
  }

  function add<T>(map: Map<string, Set<T>>, key: string, value: T): () => void {
    const set = map.get(key) ?? new Set()
    map.set(key, set.add(value))
    return () => {
      set.delete(value)
      if (set.size === 0 && map.get(key) === set) map.delete(key)
    }
  }

  async function call(agentId: string, { seat, ...wanted }: Wish): Promise<Extract<Answer, { ok: true }>> {
    const control = { ...wanted, from: seat === undefined ? replica : `${replica}/${seat}` }
    const mine = held.get(agentId)
    const answer = mine ? mine.connection.control(control) : await callElsewhere(agentId, control)
    if (answer.ok) return answer
    if (answer.reason === 'offline') throw new Fault('AGENT_OFFLINE', { agentId })
    throw new Fault(
      'AGENT_CAPABILITY_MISSING',
      { agentId },
      { message: 'The request is larger than the agent of this machine takes' },
    )
  }

  async function callElsewhere(agentId: string, control: Control): Promise<Answer> {
    if (!bus) return { ok: false, reason: 'offline' }
    try {
      const { data } = await bus.requestAgent(agentId, encode(control), { timeoutMs: CALL_MS })
      return decode(data) as Answer
    } catch (error) {
      if (error instanceof Fault && error.code === 'SYS_UNAVAILABLE') return { ok: false, reason: 'offline' }
      throw error
    }
  }

  return {
    plug(connection) {
      const agentId = connection.agent?.id
      if (agentId === undefined) throw new Error('only a connection whose agent is known can be plugged')
      giveWay({ agentId, connection: connection.id })
      const listening = bus?.onAgent(agentId, (message) => {
        message.respond(encode(connection.control(decode(message.data) as Control)))
      })
      held.set(agentId, { connection, ...(listening && { listening }) })
      bus?.publish(subjectOf('connected'), encode({ agentId, connection: connection.id, replica }))
      announce(agentId)
    },
    unplug(connection) {
      const agentId = connection.agent?.id ?? ''
      const mine = held.get(agentId)
      if (mine?.connection !== connection) return
      mine.listening?.close()
      held.delete(agentId)
    },
    held: (agentId) => held.get(agentId)?.connection,
    call,
    tell(agentId, wanted) {
      call(agentId, wanted).catch((error: unknown) => log.debug({ err: error, agentId }, 'An agent could not be told'))
    },
    listen: (agentId, topic, listener, seat) => add(listeners, listenerKey(agentId, topic, seat), listener),
    onConnected: (agentId, heard) => add(connected, agentId, heard),
    forward(to, agentId, topic, message) {
      const [other = '', seat] = to.split('/')
      if (other === replica) dispatch({ agentId, topic, seat, message })
      else bus?.publish(subjectOf(other), encode({ agentId, topic, seat, message }))
    },
    disconnect(agentId) {
      drop(agentId)
      bus?.publish(subjectOf('disconnect'), encode({ agentId }))
    },
    start() {
      if (!bus) return
      open.push(
        bus.subscribe(subjectOf(replica), {}, (message) => {
          if (message.expectsReply) message.respond(encode('alive'))
          else dispatch(decode(message.data) as Forwarded)
        }),
        bus.subscribe(subjectOf('connected'), {}, ({ data }) => {
          const news = decode(data) as { agentId: string; connection: string; replica: string }
          if (news.replica === replica) return
          giveWay(news)
          announce(news.agentId)
        }),
        bus.subscribe(subjectOf('disconnect'), {}, ({ data }) => drop((decode(data) as { agentId: string }).agentId)),
      )
      probe = setInterval(() => void probeReplicas(), PROBE_EVERY_MS)
      probe.unref()
    },
    close() {
      clearInterval(probe)
      for (const listening of open) listening.close()
      for (const { listening } of held.values()) listening?.close()
      held.clear()
    },
  }
}
