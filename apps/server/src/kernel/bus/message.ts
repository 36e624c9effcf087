import { headers as newHeaders, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { readsAsPacket } from './cap.ts'

export type Headers = Readonly<Record<string, string>>

/** A message from the bus. */
export interface BusMessage {
  subject: string
  data: Uint8Array
  /** Whether the sender waits for an answer. */
  expectsReply: boolean
  header(name: string): string | undefined
  headers(): Headers
  /** Answers; does nothing when the sender does not wait. */
  respond(data: Uint8Array, headers?: Headers): void
}

/** A message from a tenant's or a user's account. Account and user come from the server and cannot be forged. */
export interface AccountMessage extends BusMessage {
  /** Public key of the account. */
  account: string
  /** Public key of the sender's user JWT; on the subjects that decisions D2 marks `share`, else undefined. */
  user?: string
}

export type Handler<M> = (message: M) => void | Promise<void>

export interface Listening {
  /** Takes no more messages. */
  close(): void
}

export function toNatsHeaders(headers: Headers | undefined): MsgHdrs | undefined {
  if (headers === undefined) return undefined
  const made = newHeaders()
  for (const [name, value] of Object.entries(headers)) made.append(name, value)
  return made
}

export function toMessage(msg: Msg, subject: string = msg.subject): BusMessage {
  return {
    subject,
    data: msg.data,
    expectsReply: msg.reply !== undefined && msg.reply !== '',
    header: (name) => (msg.headers?.has(name) ? msg.headers.get(name) : undefined),
    headers: () => Object.fromEntries([...(msg.headers ?? [])].map(([name, values]) => [name, values.join(', ')])),
    respond(data, headers) {
      if (msg.reply) msg.respond(data, { headers: toNatsHeaders(headers) })
    },
  }
}

/**
 * The same for a sender in an account, who may name `job.x` as the subject of the answer: the server delivers there to the
 * account's workers without asking for a right. So what reads as a CAP packet is never sent as an answer.
 */
export function toAccountMessage(msg: Msg, local: string, account: string, user?: string): AccountMessage {
  const message = toMessage(msg, local)
  return {
    ...message,
    account,
    ...(user === undefined ? {} : { user }),
    respond(data, headers) {
      if (readsAsPacket(data)) throw new Error('an answer to an account must not read as a CAP packet')
      message.respond(data, headers)
    },
  }
}

/** Subscribes with a handler whose failures are logged: a poisonous message must not end the subscription. */
export function listen(
  connection: NatsConnection,
  log: Logger,
  subject: string,
  queue: string | undefined,
  handler: Handler<Msg>,
): Listening {
  const failed = (err: unknown) => log.error({ err, subject }, 'Handling a bus message failed')
  async function handle(msg: Msg): Promise<void> {
    try {
      await handler(msg)
    } catch (err) {
      failed(err)
    }
  }
  const subscription = connection.subscribe(subject, {
    ...(queue === undefined ? {} : { queue }),
    callback(error, msg) {
      if (error) failed(error)
      else void handle(msg)
    },
  })
  return {
    close() {
      if (!subscription.isClosed() && !connection.isClosed()) subscription.unsubscribe()
    },
  }
}
