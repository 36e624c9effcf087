import { randomBytes } from 'node:crypto'
import { Fault } from '@wheelhouse/contract'
import { type Msg, RequestError, TimeoutError } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { pause, systemClock, type Clock } from '../clock/index.ts'
import { openAccountTraffic, type AccountTraffic } from './account-traffic.ts'
import { openInterest } from './interest.ts'
import { openLink, type LinkState } from './link.ts'
import {
  listen,
  toMessage,
  toNatsHeaders,
  type BusMessage,
  type Handler,
  type Headers,
  type Listening,
} from './message.ts'
import { platformAccountJwt, type OperatorKeys } from './operator.ts'
import { openResolver, type Resolver } from './resolver.ts'
import { drainResults, ensureResults, type CapturedResult } from './results.ts'
import { token } from './subjects.ts'

export interface BusOptions {
  urls: readonly string[]
  keys: OperatorKeys
  log: Logger
  clock?: Clock
  /** How long the first connection may take; default 30 s. Lost ones come back by themselves. */
  connectTimeoutMs?: number
}

export interface BusStatus {
  state: LinkState
  server: string | undefined
  version: string | undefined
  reconnects: number
  inMsgs: number
  outMsgs: number
  inBytes: number
  outBytes: number
}

/** The platform's connection to NATS. Delivers at most once: what must not be lost stands in PostgreSQL and is driven again. */
export interface Bus extends AccountTraffic {
  /** Publishes in the platform's own account. False, and nothing is sent, while the bus is away. */
  publish(subject: string, data: Uint8Array, headers?: Headers): boolean
  /** Asks another replica. Throws SYS_UNAVAILABLE (`no responders` at once, or `timeout`). */
  request(subject: string, data: Uint8Array, options: { timeoutMs: number; headers?: Headers }): Promise<BusMessage>
  /** Hears the platform's own account; with `queue`, of all replicas one gets each message. */
  subscribe(subject: string, options: { queue?: string }, handler: Handler<BusMessage>): Listening

  /**
   * What is worth showing now, to the other replicas that listen to that subject; `make` is not called when none does, and may refuse.
   * Who listens here is told by whoever publishes, without this way.
   */
  publishLive(subject: string, make: () => Uint8Array | undefined): void
  /** Hears what other replicas publish so. */
  onLive(subject: string, handler: Handler<BusMessage>): Listening
  /** The same for a live event: `evt.<tenant>.<type>`. */
  publishEvent(tenantId: string, type: string, make: () => Uint8Array): void
  /** Hears the live events of one tenant that other replicas publish; the message's subject is the event's type. */
  onEvents(tenantId: string, handler: Handler<BusMessage>): Listening
  /** A nudge to all replicas that there is work of that kind. It may be lost; who waits also sweeps. */
  wake(what: string): boolean
  onWake(what: string, handler: () => void): Listening
  /** Work for the replica that holds that agent's socket. Throws SYS_UNAVAILABLE at once when none does. */
  requestAgent(agentId: string, data: Uint8Array, options: { timeoutMs: number }): Promise<BusMessage>
  onAgent(agentId: string, handler: Handler<BusMessage>): Listening

  /** Brings the stream of workers' results into being. */
  ensureResults(): Promise<void>
  /** See `drainResults` of results.ts: at start and by the sweep. */
  drainResults(handler: (results: CapturedResult[]) => Promise<void>): Promise<number>

  /** The account resolver. */
  resolver: Resolver
  /** URLs, as given. */
  urls: readonly string[]
  keys: OperatorKeys
  status(): BusStatus
  /** Round trip in milliseconds. Throws SYS_UNAVAILABLE when the server does not answer in 2 s. */
  ping(): Promise<number>
  /** Whether JetStream answers within 2 s. */
  jetStreamUsable(): Promise<boolean>
  /** Runs when the connection is lost: what was published the moment before may be lost with it. */
  onDisconnect(run: () => void): void
  /** Runs after each reconnection: what was published meanwhile was lost. */
  onReconnect(run: () => void): void
  /** Lets handlers finish what has arrived, then closes. */
  close(): Promise<void>
}

const PROBE_MS = 2_000
/** The replica that a live message comes from: it hears its own as everyone does, and leaves them. */
const FROM = 'Wh-From'

/** Connects to PLATFORM and SYS, and puts PLATFORM's present claims in force. Throws SYS_UNAVAILABLE when no server answers in time. */
export async function openBus(options: BusOptions): Promise<Bus> {
  const { urls, keys, log, clock = systemClock, connectTimeoutMs = 30_000 } = options
  const reconnected: (() => void)[] = []
  const disconnected: (() => void)[] = []
  /** Ends the questions that wait for another replica: their answers went down with the connection. */
  const asking = new Set<() => void>()
  const common = { urls, log, clock, connectTimeoutMs }
  const away = (cause: unknown): never => {
    throw new Fault(
      'SYS_UNAVAILABLE',
      { part: 'bus' },
      { cause, message: `No NATS server answers at ${urls.join(', ')}` },
    )
  }
  const onReconnect = () => {
    interest?.reconnected()
    for (const run of reconnected) run()
  }
  let interest: ReturnType<typeof openInterest> | undefined
  const sys = await openLink({ ...common, account: keys.system, name: 'wheelhouse sys' }).catch(away)
  const resolver = openResolver(sys.connection, keys.operator, () => Math.floor(clock.now() / 1000))
  try {
    if (!(await resolver.push(keys.platform.publicKey, platformAccountJwt(keys))))
      away('other claims of PLATFORM are stored')
  } catch (error) {
    await sys.drain()
    throw error
  }
  const link = await openLink({
    ...common,
    account: keys.platform,
    name: 'wheelhouse',
    onReconnect,
    onDisconnect: () => {
      traffic.disconnected()
      for (const fail of asking) fail()
      for (const run of disconnected) run()
    },
  }).catch(away)
  const { connection } = link
  const traffic = openAccountTraffic(link, keys.platform.publicKey, log)
  const self = randomBytes(6).toString('hex')
  const opened = openInterest(connection, self, clock, log)
  interest = opened

  function publish(subject: string, data: Uint8Array, headers?: Headers): boolean {
    if (link.state() !== 'CONNECTED') return false
    connection.publish(subject, data, { headers: toNatsHeaders(headers) })
    return true
  }

  async function request(
    subject: string,
    data: Uint8Array,
    ask: { timeoutMs: number; headers?: Headers },
  ): Promise<BusMessage> {
    const refuse = (reason: string, cause?: unknown) =>
      new Fault('SYS_UNAVAILABLE', { part: 'bus', reason }, { cause, message: `No answer on ${subject}: ${reason}` })
    if (link.state() !== 'CONNECTED') throw refuse('disconnected')
    const { promise: lost, reject } = Promise.withResolvers<never>()
    const fail = () => reject(refuse('disconnected'))
    asking.add(fail)
    try {
      const headers = toNatsHeaders(ask.headers)
      return toMessage(
        await Promise.race([lost, connection.request(subject, data, { timeout: ask.timeoutMs, headers })]),
      )
    } catch (cause) {
      if (cause instanceof TimeoutError) throw refuse('timeout', cause)
      if (cause instanceof RequestError) throw refuse(cause.isNoResponders() ? 'no responders' : 'disconnected', cause)
      throw cause
    } finally {
      asking.delete(fail)
    }
  }

  /** Hears a live subject as long as it is wanted, but for what this replica publishes itself. */
  function hearOthers(wanted: string, subject: string, handler: (msg: Msg) => void | Promise<void>): Listening {
    const leave = opened.hold(wanted)
    const listening = listen(connection, log, subject, undefined, (msg) =>
      msg.headers?.get(FROM) === self ? undefined : handler(msg),
    )
    return {
      close() {
        leave()
        listening.close()
      },
    }
  }

  return {
    publish,
    request,
    subscribe: (subject, { queue }, handler) =>
      listen(connection, log, subject, queue, (msg) => handler(toMessage(msg))),

    publishLive(subject, make) {
      if (!opened.elsewhere(subject)) return
      const data = make()
      if (data !== undefined) publish(subject, data, { [FROM]: self })
    },
    onLive: (subject, handler) => hearOthers(subject, subject, (msg) => handler(toMessage(msg))),
    publishEvent(tenantId, type, make) {
      if (opened.elsewhere(`evt.${tenantId}`)) publish(`evt.${token(tenantId)}.${type}`, make(), { [FROM]: self })
    },
    onEvents(tenantId, handler) {
      const prefix = `evt.${token(tenantId)}.`
      return hearOthers(`evt.${tenantId}`, `${prefix}>`, (msg) =>
        handler(toMessage(msg, msg.subject.slice(prefix.length))),
      )
    },
    wake: (what) => publish(`wh.wake.${token(what)}`, new Uint8Array()),
    onWake: (what, handler) => listen(connection, log, `wh.wake.${token(what)}`, undefined, () => handler()),
    requestAgent: (agentId, data, ask) => request(`wh.agent.${token(agentId)}`, data, ask),
    onAgent: (agentId, handler) =>
      listen(connection, log, `wh.agent.${token(agentId)}`, undefined, (msg) => handler(toMessage(msg))),

    fromAccounts: traffic.fromAccounts,
    toAccount: traffic.toAccount,
    requestAccount: traffic.requestAccount,
    gatherAccount: traffic.gatherAccount,

    ensureResults: () => ensureResults(connection),
    drainResults: (handler) => drainResults(connection, handler),

    resolver,
    urls,
    keys,
    status() {
      const { inMsgs, outMsgs, inBytes, outBytes } = connection.stats()
      const up = link.state() === 'CONNECTED'
      return {
        state: link.state(),
        server: up ? connection.getServer() : undefined,
        version: connection.info?.version,
        reconnects: link.reconnects(),
        inMsgs,
        outMsgs,
        inBytes,
        outBytes,
      }
    },
    async ping() {
      // Not by $SYS.REQ.USER.INFO: nats-server 2.9 does not answer it in every account.
      const answered = link.state() === 'CONNECTED' && connection.rtt().catch(() => undefined)
      const ms = await Promise.race([answered, pause(PROBE_MS)])
      if (typeof ms === 'number') return ms
      throw new Fault('SYS_UNAVAILABLE', { part: 'bus' }, { message: 'The NATS server does not answer' })
    },
    async jetStreamUsable() {
      try {
        const answer = await request('$JS.API.INFO', new Uint8Array(), { timeoutMs: PROBE_MS })
        const { error } = JSON.parse(Buffer.from(answer.data).toString()) as { error?: unknown }
        return error === undefined
      } catch (error) {
        if (error instanceof Fault) return false
        throw error
      }
    },
    onDisconnect: (run) => void disconnected.push(run),
    onReconnect: (run) => void reconnected.push(run),
    async close() {
      opened.close()
      await link.drain()
      await sys.drain()
    },
  }
}
