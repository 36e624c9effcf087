import { randomBytes } from 'node:crypto'
import { connect, type Authenticator, type NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { pause, type Clock } from '../clock/index.ts'
import { signJwt, type Permission, type UserClaims } from './jwt.ts'
import { newNkey, signerOf, type Nkey } from './nkeys.ts'

/** The names that nats clients use for it; platform.md's health shows them. */
export type LinkState = 'CONNECTED' | 'RECONNECTING' | 'DRAINING' | 'CLOSED'

/** One connection of ours, kept up for ever. */
export interface Link {
  connection: NatsConnection
  state(): LinkState
  /** How often the connection came back. */
  reconnects(): number
  /** Lets handlers finish what has arrived, at most 5 s, then closes. */
  drain(): Promise<void>
}

export interface LinkOptions {
  urls: readonly string[]
  account: Nkey
  name: string
  log: Logger
  clock: Clock
  /** How long the first connection may take; later ones are tried for ever. */
  connectTimeoutMs: number
  pub?: Permission
  sub?: Permission
  /** Called after each reconnection. */
  onReconnect?: () => void
  /** Called when the connection is lost. */
  onDisconnect?: () => void
}

/** Connects as a new user of an account whose seed we hold; throws the last error when no server answers in time. */
export async function openLink(options: LinkOptions): Promise<Link> {
  const { log, name } = options
  const connection = await connectInTime(options)
  let state: LinkState = 'CONNECTED'
  let reconnects = 0

  async function watch(): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') {
        if (state === 'CONNECTED') state = 'RECONNECTING'
        if (state === 'RECONNECTING') log.warn({ link: name }, 'The bus connection was lost')
        options.onDisconnect?.()
      } else if (status.type === 'reconnect') {
        state = 'CONNECTED'
        reconnects++
        log.info({ link: name, server: status.server }, 'The bus connection is back')
        options.onReconnect?.()
      } else if (status.type === 'error') log.warn({ link: name, err: status.error }, 'The bus refused something')
      else if (status.type === 'slowConsumer')
        log.warn({ link: name, pending: status.pending }, 'A bus consumer is slow')
    }
  }
  watch().catch((err: unknown) => log.error({ link: name, err }, 'Watching the bus connection failed'))
  return {
    connection,
    state: () => state,
    reconnects: () => reconnects,
    async drain() {
      if (connection.isClosed()) return
      const lost = state !== 'CONNECTED'
      state = 'DRAINING'
      if (lost) return connection.close()
      await Promise.race([connection.drain(), pause(5_000).then(() => connection.close())])
      state = 'CLOSED'
    },
  }
}

async function connectInTime(options: LinkOptions): Promise<NatsConnection> {
  const deadline = performance.now() + options.connectTimeoutMs
  const authenticator = credential(options)
  for (;;) {
    try {
      return await connect({
        servers: [...options.urls],
        name: options.name,
        authenticator,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        reconnectJitter: 250,
        ignoreAuthErrorAbort: true,
        pingInterval: 10_000,
        inboxPrefix: `_INBOX.${randomBytes(9).toString('hex')}`,
        timeout: 3_000,
      })
    } catch (error) {
      if (performance.now() > deadline) throw error
      await pause(200)
    }
  }
}

/** The user lives as long as this process; its JWT never expires, or a reconnection would fail after that time. */
function credential(options: LinkOptions): Authenticator {
  const user = newNkey('user')
  const sign = signerOf(user.seed)
  const nats: UserClaims = {
    type: 'user',
    version: 2,
    pub: options.pub ?? {},
    sub: options.sub ?? {},
    subs: -1,
    data: -1,
    payload: -1,
  }
  const issuedAt = Math.floor(options.clock.now() / 1000)
  const jwt = signJwt(options.account, { subject: user.publicKey, name: options.name, issuedAt, nats })
  return (nonce = '') => ({ jwt, nkey: user.publicKey, sig: sign(Buffer.from(nonce)).toString('base64url') })
}
