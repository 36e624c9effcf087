import { randomBytes } from 'node:crypto'
import { Fault } from '@wheelhouse/contract'
import type { Msg } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { carriesIdentity, platformForm } from './account-claims.ts'
import type { Link } from './link.ts'
import {
  listen,
  toAccountMessage,
  toMessage,
  toNatsHeaders,
  type AccountMessage,
  type BusMessage,
  type Handler,
  type Headers,
  type Listening,
} from './message.ts'
import { isPublicKey } from './nkeys.ts'

export interface GatherOptions {
  headers?: Headers
  /** How long to collect. */
  timeoutMs: number
  /** Ends as soon as so many answered. */
  max?: number
  /** Ends when no further answer came for so long. */
  stallMs?: number
}

/** Messages between the platform and the accounts of tenants and users (decisions D2). */
export interface AccountTraffic {
  /**
   * Hears what accounts publish on a local subject pattern (`sys.job.submit`, `$KV.extensions.>`); of several replicas one gets
   * each message. Own echoes are dropped; so is, on subjects that carry identity, what came from no user (a stream).
   */
  fromAccounts(localPattern: string, handler: Handler<AccountMessage>): Listening
  /** Publishes on a local subject of the account. False, and nothing is sent, while the bus is away. */
  toAccount(account: string, subject: string, data: Uint8Array, headers?: Headers): boolean
  /**
   * Asks somebody in the account and waits. Throws SYS_UNAVAILABLE: at once with reason `no responders` when nobody listens,
   * else with `timeout` or `disconnected`.
   */
  requestAccount(
    account: string,
    subject: string,
    data: Uint8Array,
    options: { timeoutMs: number; headers?: Headers },
  ): Promise<BusMessage>
  /** Asks everybody in the account and collects the answers; nobody there = an empty list, at once. */
  gatherAccount(account: string, subject: string, data: Uint8Array, options: GatherOptions): Promise<BusMessage[]>
}

interface Waiting {
  account: string
  answer(msg: Msg): void
  fail(reason: string): void
}

const QUEUE = 'wh'

export function openAccountTraffic(
  link: Link,
  platform: string,
  log: Logger,
): AccountTraffic & { disconnected(): void } {
  const { connection } = link
  const replica = randomBytes(9).toString('hex')
  const waiting = new Map<string, Waiting>()
  let asked = 0

  // Answers arrive through the account's import; the server's own "no responders" comes on the bare reply subject.
  listen(connection, log, `in.*._WH.reply.${replica}.*`, undefined, (msg) => {
    const [, account = '', , , , id = ''] = msg.subject.split('.')
    const wait = waiting.get(id)
    if (wait?.account === account) wait.answer(msg)
  })
  listen(connection, log, `_WH.reply.${replica}.*`, undefined, (msg) => {
    if (msg.headers?.code === 503) waiting.get(msg.subject.split('.')[3] ?? '')?.fail('no responders')
  })

  function send(account: string, subject: string, data: Uint8Array, headers?: Headers, reply?: string): boolean {
    if (!isPublicKey(account, 'account')) throw new Error('not a public account key')
    if (link.state() !== 'CONNECTED') return false
    const options = { headers: toNatsHeaders(headers), ...(reply === undefined ? {} : { reply }) }
    connection.publish(`out.${account}.${platformForm(subject)}`, data, options)
    return true
  }

  function ask(
    account: string,
    subject: string,
    data: Uint8Array,
    options: GatherOptions,
    done: (answers: BusMessage[], reason: string) => void,
  ): void {
    const id = `${++asked}`
    const answers: BusMessage[] = []
    function end(reason: string): void {
      clearTimeout(timer)
      clearTimeout(stall)
      waiting.delete(id)
      done(answers, reason)
    }
    const timer = setTimeout(end, options.timeoutMs, 'timeout')
    let stall: NodeJS.Timeout | undefined
    waiting.set(id, {
      account,
      fail: end,
      answer(msg) {
        answers.push(toMessage(msg))
        if (answers.length >= (options.max ?? Infinity)) return end('enough')
        clearTimeout(stall)
        if (options.stallMs !== undefined) stall = setTimeout(end, options.stallMs, 'stalled')
      },
    })
    try {
      if (!send(account, subject, data, options.headers, `_WH.reply.${replica}.${id}`)) end('disconnected')
    } catch (error) {
      clearTimeout(timer)
      waiting.delete(id)
      throw error
    }
  }

  return {
    fromAccounts(localPattern, handler) {
      const dollar = localPattern.startsWith('$') ? '$' : ''
      return listen(connection, log, `in.*.${platformForm(localPattern)}`, QUEUE, (msg) => {
        const [, account = ''] = msg.subject.split('.', 2)
        const local = dollar + msg.subject.slice(account.length + 4)
        if (!isPublicKey(account, 'account') || !carriesIdentity(local))
          return handler(toAccountMessage(msg, local, account))
        const info = requestInfo(msg)
        if (info?.acc === platform) return undefined
        if (info?.acc !== account || info.user === undefined) {
          log.warn({ subject: msg.subject }, 'A message without a user was dropped')
          return undefined
        }
        return handler(toAccountMessage(msg, local, account, info.user))
      })
    },
    toAccount: (account, subject, data, headers) => send(account, subject, data, headers),
    requestAccount: (account, subject, data, options) =>
      new Promise((resolve, reject) => {
        ask(account, subject, data, { ...options, max: 1 }, ([first], reason) => {
          if (first) resolve(first)
          else
            reject(
              new Fault('SYS_UNAVAILABLE', { part: 'bus', reason }, { message: `No answer on ${subject}: ${reason}` }),
            )
        })
      }),
    gatherAccount: (account, subject, data, options) =>
      new Promise((resolve) => ask(account, subject, data, options, resolve)),
    disconnected() {
      for (const wait of waiting.values()) wait.fail('disconnected')
    },
  }
}

/** What the server states of the sender; a header that a client wrote itself is replaced by the server. */
function requestInfo(msg: Msg): { acc?: string; user?: string } | undefined {
  const text = msg.headers?.get('Nats-Request-Info')
  if (!text) return undefined
  try {
    return JSON.parse(text) as { acc?: string; user?: string }
  } catch {
    return undefined
  }
}
